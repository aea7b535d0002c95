"""What a new supplier is handed: a folder with its secrets and a page that says how to connect."""

from pathlib import Path

from jieshui.errors import JieshuiError
from jieshui.mosquitto.files import PUBLIC, make_folder, write_whole
from jieshui.mosquitto.folder import HandOver

_CARD = """节水 jieshui · {supplier}

地址 broker         {host}:{port}  (MQTT 5 / 3.1.1, TLS)
其他名称 also       {others}
根证书 CA           ca.pem
用户名 user name    {supplier}
密码 password       password 文件 / in the file `password`
客户端证书          client.pem, client.key (服务器要求时使用 / where the broker asks for one)
上报主题 publish    water/v1/{supplier}/jieshui/<meter>/reading   QoS 1, 不保留 / not retained
回执主题 subscribe  receipts/v1/{supplier}
客户端标识          以用户名开头 / a client id that begins with your user name: {supplier}-1

未收到回执 loaded 的消息请重发；重复的只计一次。
Send again until the receipt says `loaded`; what comes twice is counted once.

试一试 try
XDG_CONFIG_HOME=. mosquitto_pub -q 1 -t water/v1/{supplier}/jieshui/<meter>/reading \\
  -m '{{"at": "2026-09-15T08:00:00+08:00", "register_m3": 1234.567}}'
地址、密码等在文件 mosquitto_pub 中，不出现在命令行上。
In this folder: it finds address and password in the file mosquitto_pub, not on the command line.
"""

_OPTIONS = """-h {host}
-p {port}
--cafile ca.pem
--cert client.pem
--key client.key
-u {supplier}
-P {password}
"""
"""Where every user of the machine can't read it, as a command line can be."""


def write_hand_over(given: HandOver, port: int, folder: Path) -> None:
    """Write the supplier's folder, closed to others.

    Raises:
        JieshuiError: something is in the folder already.
    """
    require_empty(folder)
    make_folder(folder)
    host, *others = given.hosts
    words = {"supplier": given.supplier, "host": host, "port": port, "others": ", ".join(others)}
    write_whole(folder / "connection.txt", _CARD.format(**words), PUBLIC)
    write_whole(folder / "ca.pem", given.ca, PUBLIC)
    write_whole(folder / "client.pem", given.certificate, PUBLIC)
    write_whole(folder / "client.key", given.key)
    write_whole(folder / "password", given.password + "\n")
    write_whole(folder / "mosquitto_pub", _OPTIONS.format(**words, password=given.password))


def require_empty(folder: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        JieshuiError: naming the folder.
    """
    if folder.exists() and any(folder.iterdir()):
        raise JieshuiError(f"{folder} holds something already; --out names another folder")
