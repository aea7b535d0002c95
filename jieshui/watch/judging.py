"""When somebody is told: pure, the clock and what was seen are handed in."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

AGAIN = timedelta(days=1)
"""After so long in trouble people are told again."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, in a few words of both languages; `detail` is what a machine said of it."""

    zh: str
    en: str
    detail: str = ""
    severity: str = "red"


@dataclass(frozen=True, slots=True)
class Look:
    """One look at one thing; without trouble all is well.

    Attributes:
        subject: what was looked at, the same at every look.
        trouble: what is wrong.
    """

    subject: str
    trouble: Trouble | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A trouble that lasts, or that is not over for long enough yet.

    Attributes:
        since: when it began.
        told_at: when people were told last.
        good_since: since when all looks well again; None while it does not.
    """

    since: datetime
    told_at: datetime | None = None
    good_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """What people are told."""

    title: str
    body: str
    severity: str


def judge(
    before: Standing | None, look: Look, now: datetime, patience: timedelta, zone: tzinfo
) -> tuple[Standing | None, Letter | None]:
    """What stands after a look, and what people are to be told of it.

    Something may be wrong for as long as `patience` before they are, and must be well for as long
    before it is over: what comes and goes is one trouble. Times are shown in `zone`.
    """
    if look.trouble is None:
        return _judge_good(before, look.subject, now, patience, zone) if before else (None, None)
    standing = replace(before, good_since=None) if before else Standing(now)
    early = now - standing.since < patience
    told_lately = standing.told_at is not None and now - standing.told_at < AGAIN
    if early or told_lately:
        return standing, None
    return replace(standing, told_at=now), _tell(look.subject, look.trouble, standing.since, zone)


def _judge_good(
    before: Standing, subject: str, now: datetime, patience: timedelta, zone: tzinfo
) -> tuple[Standing | None, Letter | None]:
    good_since = before.good_since or now
    if now - good_since < patience:
        return replace(before, good_since=good_since), None
    if before.told_at is None:
        return None, None
    return None, _over(subject, before.since, good_since, zone)


def _tell(subject: str, trouble: Trouble, since: datetime, zone: tzinfo) -> Letter:
    began = _written(since, zone)
    chinese = f"开始时间：{began}；未恢复时每日再次通知。"
    english = f"[watch] {subject}: {trouble.en}\nsince {began}; told every day while it lasts"
    detail = f"{trouble.detail}\n" if trouble.detail else ""
    title = f"【运行看护】{subject}：{trouble.zh}"
    return Letter(title, f"{chinese}\n{detail}\n{english}", trouble.severity)


def _over(subject: str, since: datetime, until: datetime, zone: tzinfo) -> Letter:
    began, ended = _written(since, zone), _written(until, zone)
    english = f"[watch] {subject}: back to normal\nin trouble from {began} to {ended}"
    title = f"【运行看护】{subject}：已恢复正常"
    return Letter(title, f"异常时间：{began} 至 {ended}\n\n{english}", "notice")


def _written(at: datetime, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
