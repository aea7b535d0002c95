"""Why a door of ours doesn't take what somebody brings; the sender keeps it and tries again."""


class DoorClosedError(Exception):
    """Nothing is taken now: the journal can't be written, or the door is not open yet."""


class DoorCrowdedError(Exception):
    """This supplier has brought as much as may wait; `retry_after_s` says when to try again."""

    def __init__(self, waiting: str, retry_after_s: int) -> None:
        super().__init__(f"{waiting} wait already, try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s
