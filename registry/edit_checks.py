"""What stands where an edit is laid: whether the edit fits there, and would count."""

from collections.abc import Mapping, Sequence
from typing import Any

from registry.ports import EditTransaction
from water.edits import EditKind, EditState, RefusedEditError
from water.limits import check_quantities
from water.readings import QUANTITIES
from water.refusals import Refusal

Row = dict[str, Any]


def check_sent(
    kind: EditKind,
    values: Mapping[str, float | None],
    sent: Mapping[str, float | None] | None,
    earlier: Sequence[Row],
) -> None:
    """See that an edit fits to what the meter sent of that instant.

    Raises:
        RefusedEditError: there is nothing to correct, or nothing to estimate.
    """
    if kind in {EditKind.CORRECTION, EditKind.VOID} and sent is None:
        raise RefusedEditError(
            "at: the meter sent no reading of this instant", "该时刻没有上报的读数"
        )
    if kind is EditKind.VOID and (sent or {}).get("register_m3") is None:
        raise RefusedEditError("at: the reading carries no register", "该读数没有表底数")
    if kind is EditKind.ESTIMATE:
        waiting = [edit for edit in earlier if edit["state"] != EditState.WITHDRAWN]
        voids = [edit for edit in waiting if edit["kind"] == EditKind.VOID]
        check_free(values, sent, voids)


def check_values(
    register: float | None,
    modulus: float | None,
    flow: float | None,
    pressure: float | None,
    level: float | None,
    about: str = "",
) -> None:
    """See that a meter whose dial begins again at `modulus` can show these (water.limits).

    `about` stands before the English reason.

    Raises:
        RefusedEditError: it can't.
    """
    beyond = check_quantities(register, modulus, flow, pressure, level)
    if beyond is None:
        return
    reason, detail = beyond
    chinese = {
        Refusal.NEGATIVE_REGISTER: "表底数不能为负",
        Refusal.BEYOND_DIAL: f"表底数超出表盘，表盘模数为 {modulus} m³",
    }.get(reason, "数值超出合理范围")
    raise RefusedEditError(f"{about}{reason}: {detail}", chinese)


def check_free(
    values: Mapping[str, Any], sent: Mapping[str, float | None] | None, below: Sequence[Row]
) -> None:
    """See that nothing stands where an estimate is laid: it sets what there is no value for.

    Args:
        values: the quantities of the estimate.
        sent: what the meter sent of that instant.
        below: the edits that are laid over it before the estimate, in their order.

    Raises:
        RefusedEditError: a value stands there.
    """
    standing = dict(sent or {})
    for edit in below:
        if edit["kind"] == EditKind.VOID:
            standing["register_m3"] = None
        standing |= {name: edit[name] for name in QUANTITIES if edit[name] is not None}
    for name in QUANTITIES:
        if values.get(name) is None or standing.get(name) is None:
            continue
        if (sent or {}).get(name) is None:
            raise RefusedEditError(
                f"{name}: an edit of this instant counts already", "该时刻已有生效的修改"
            )
        raise RefusedEditError(
            f"{name} was measured: make a correction, or have a void of the register approved "
            "first",
            "已有实测值，请更正，或先作废表底数并经审核",
        )


def check_bare(rows: EditTransaction, void: Row) -> None:
    """See that no estimate that counts rests on a void.

    Raises:
        RefusedEditError: one does, and would count no more without saying so.
    """
    for edit in counting_beside(rows, void):
        above = edit["version"] > void["version"] and edit["register_m3"] is not None
        if above and edit["kind"] == EditKind.ESTIMATE:
            raise RefusedEditError(
                f"the estimate of version {edit['version']} rests on this void: withdraw it first",
                "估抄依据该作废，请先撤回估抄",
            )


def counting_beside(rows: EditTransaction, edit: Row) -> list[Row]:
    """The other edits of the same reading that count, by version."""
    beside = rows.edits_at(edit["meter_id"], edit["at"])
    return [e for e in beside if e["state"] == EditState.APPROVED and e["id"] != edit["id"]]
