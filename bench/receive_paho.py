"""What a client of paho as it comes does with a backlog: every message in a callback, acknowledged.

python bench/receive_paho.py PORT CLIENT_ID MESSAGES [CA_FILE]
"""

import sys

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion


def main() -> None:
    port, client_id, messages, *ca_file = sys.argv[1:]
    left = int(messages)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, clean_session=False)
    if ca_file:
        client.tls_set(ca_file[0])

    def take(*_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            client.disconnect()

    client.on_message = take
    client.connect("127.0.0.1", int(port))
    client.loop_forever()


if __name__ == "__main__":
    main()
