"""Asking for a replay on the ingest page, seeing what it found, adopting it."""

from api.pages import replays
from api.pages.texts import Texts
from water.jobs import ADOPT_REPLAY, REPLAY

FOUND = {
    "progress": 1.0,
    "messages": {"read": 12, "newly_decoded": 7},
    "readings": {"new": 5, "changed": 2},
    "gone": [{"supplier": "north", "now": "undecodable/unknown_dialect", "messages": 3}],
    "sample": {
        "changed": [
            {
                "meter_id": "M-U003", "at": "2026-09-01T00:00:37+00:00",
                "stored": {"register_m3": 118.5}, "now": {"register_m3": 1185.0},
            }
        ],
        "undecodable": [
            {
                "supplier": "north", "counts_as": "undecodable/malformed",
                "detail": "/Mesage not found", "topic": "water/v1/north/json/7",
                "received_at": "2026-09-01T00:01:00+00:00", "payload": '{"Message": 12.5}',
            }
        ],
    },
}  # fmt: skip


def test_a_replay_is_asked_for_looked_at_and_adopted(open_tab, service):
    group = open_tab()
    group.log_in("group")
    group.wait()
    group.open("/ingest")
    group.page.get_by_label("接收时间起").fill("2026-09-01")
    group.page.get_by_label("接收时间止").fill("2026-09-02")
    group.page.get_by_label("供水单位").fill("north")
    group.page.get_by_text("仅原先无法解析的报文").click()
    group.page.get_by_role("button", name="重放").click()
    group.page.get_by_role("cell", name="2026-09-03 00:00").wait_for()
    job = service.jobs.take([REPLAY])
    assert job.arguments == {
        "from": "2026-09-01T00:00:00+08:00", "to": "2026-09-03T00:00:00+08:00",
        "supplier": "north", "undecodable": True,
    }  # fmt: skip
    assert group.page.get_by_label("供水单位").input_value() == "north"  # for the next press
    assert group.page.get_by_role("checkbox").is_checked()
    service.jobs.finish(job.id, FOUND)
    group.page.get_by_role("cell", name="报文 12; 新能解析 7; 新读数 5; 数值不同 2").wait_for()
    group.page.get_by_text("north 原读数不再给出（").wait_for()
    group.page.get_by_role("cell", name="表底数（m³） 1,185.000").wait_for()
    group.page.get_by_role("cell", name="/Mesage not found").wait_for()
    assert group.page.get_by_role("cell", name='{"Message": 12.5}').count() == 1
    for width in (390, 1440):
        group.page.set_viewport_size({"width": width, "height": 900})
        assert group.overflow() == 0
    group.page.get_by_role("button", name="采纳", exact=True).click()
    group.page.get_by_role("button", name="取消").click()
    group.page.get_by_role("button", name="确认采纳").wait_for(state="hidden")
    group.page.get_by_role("button", name="采纳", exact=True).click()
    group.page.get_by_role("button", name="确认采纳").click()
    group.page.get_by_role("cell", name="等待", exact=True).wait_for()
    adoption = service.jobs.take([ADOPT_REPLAY])
    mark = adoption.arguments["mark"]
    assert adoption.arguments == {**job.arguments, "replay": job.id, "mark": mark}
    group.page.get_by_text(f"已由任务 {adoption.id} 采纳").wait_for()
    assert group.page.get_by_role("button", name="采纳", exact=True).count() == 0
    service.jobs.finish(adoption.id, {"progress": 1.0, "became": {"stored": 5, "conflict": 2}})
    group.page.get_by_role("cell", name="入库 5; 冲突 2").wait_for()
    assert len(service.jobs.jobs(ADOPT_REPLAY, 10)) == 1  # 取消 asked for none
    assert group.complaints == []


def test_why_nothing_is_adopted_is_said_also_when_the_list_was_drawn_anew(
    open_tab, service, monkeypatch
):
    def refuse(*_):
        raise ValueError

    monkeypatch.setattr(replays, "ask_adoption", refuse)
    asked = {"from": "2026-09-01T00:00:00+08:00", "to": "2026-09-02T00:00:00+08:00"}
    asked |= {"supplier": "north", "undecodable": False}
    for _ in range(2):
        service.jobs.ask(REPLAY, asked, "group")
    service.jobs.finish(service.jobs.take([REPLAY]).id, FOUND | {"messages": {"read": 76}})
    group = open_tab()
    group.log_in("group")
    group.wait()
    group.open("/ingest")
    group.page.get_by_role("button", name="采纳", exact=True).click()
    group.page.get_by_role("button", name="确认采纳").wait_for()
    service.jobs.finish(service.jobs.take([REPLAY]).id, FOUND | {"messages": {"read": 77}})
    group.page.get_by_text("报文 77;").wait_for()
    group.page.get_by_role("button", name="确认采纳").click()
    group.page.get_by_text(Texts("zh")["not_adoptable"]).wait_for()


def test_the_bureau_sees_no_replays_for_it_may_not_ask_for_any(bureau):
    bureau.open("/ingest")
    assert bureau.page.get_by_text("日志重放").count() == 0
