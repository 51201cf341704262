"""Do the tables say what the design says? The arrows are written out once more, by hand."""

from contraflow.domain.lifecycle import (
    BIRTHS,
    ENDED,
    FACTS,
    FINAL,
    PAYMENT_BIRTHS,
    PAYMENT_TRANSITIONS,
    TRANSITIONS,
    UNSENT,
    PaymentState,
    PaymentStep,
    State,
    Step,
)

ARROWS = """
held: release -> accepted | withdraw -> withdrawn | reject -> failed | expire -> failed
accepted: send -> sent | withdraw -> withdrawn | expire -> failed
sent: not_sent -> accepted | retry_later -> accepted | accept -> pending | succeed -> succeeded
sent: fail -> failed | withdraw_confirmed -> withdrawn | lose -> unknown | contradict -> attention
pending: succeed -> succeeded | fail -> failed | withdraw_confirmed -> withdrawn | lose -> unknown
pending: overdue -> attention | contradict -> attention
unknown: accept -> pending | succeed -> succeeded | fail -> failed | resend -> sent
unknown: withdraw_confirmed -> withdrawn | overdue -> attention | contradict -> attention
attention: resolve_succeeded -> succeeded | resolve_failed -> failed | redirect -> sent
attention: succeed -> succeeded | fail -> failed | withdraw_confirmed -> withdrawn
succeeded: bounce -> bounced
failed: effect -> succeeded
withdrawn: effect -> succeeded
"""
PAYMENT_ARROWS = """
created: start -> pending | fail -> failed | cancel -> canceled | expire -> expired
created: authorize -> authorized | capture -> captured
pending: fail -> failed | cancel -> canceled | expire -> expired
pending: authorize -> authorized | capture -> captured
authorized: authorize -> authorized | capture -> captured | cancel -> canceled | expire -> expired
captured: capture -> captured
canceled: authorize -> authorized | capture -> captured
failed: authorize -> authorized | capture -> captured
expired: authorize -> authorized | capture -> captured
"""


def arrows_of(text: str) -> dict[tuple[str, str], str]:
    found = {}
    for line in text.strip().splitlines():
        state, _, arrows = line.partition(": ")
        for arrow in arrows.split(" | "):
            step, _, target = arrow.partition(" -> ")
            assert (state, step) not in found, arrow
            found[state, step] = target
    return found


def test_an_instruction_takes_the_steps_of_the_design_and_no_other() -> None:
    assert dict(TRANSITIONS) == arrows_of(ARROWS)
    assert dict(BIRTHS) == {"hold": "held", "request": "accepted"}


def test_a_payment_takes_the_steps_of_the_design_and_no_other() -> None:
    assert dict(PAYMENT_TRANSITIONS) == arrows_of(PAYMENT_ARROWS)


def test_every_state_can_be_reached() -> None:
    reached = set(BIRTHS.values())
    for _ in State:
        reached |= {end for (start, _), end in TRANSITIONS.items() if start in reached}

    assert reached == set(State)


def test_every_state_of_a_payment_can_be_reached() -> None:
    reached = set(PAYMENT_BIRTHS.values())
    for _ in PaymentState:
        reached |= {end for (start, _), end in PAYMENT_TRANSITIONS.items() if start in reached}

    assert reached == set(PaymentState)


def test_every_step_leads_somewhere() -> None:
    assert {step for _, step in TRANSITIONS} | set(BIRTHS) == set(Step)
    assert {step for _, step in PAYMENT_TRANSITIONS} | {PaymentStep.RECORD} == set(PaymentStep)


def test_a_final_state_is_left_by_a_fact_alone() -> None:
    assert {step for state, step in TRANSITIONS if state in FINAL} == FACTS
    assert {state for state, step in TRANSITIONS if step in FACTS} == FINAL - {State.BOUNCED}


def test_an_open_state_can_always_come_to_an_end() -> None:
    ending = set(FINAL)
    for _ in State:
        ending |= {start for (start, _), end in TRANSITIONS.items() if end in ending}

    assert ending == set(State)


def test_what_was_never_sent_has_no_outcome_of_a_channel() -> None:
    assert {step for state, step in TRANSITIONS if state in UNSENT} == {
        *(Step.RELEASE, Step.WITHDRAW, Step.REJECT, Step.EXPIRE, Step.SEND)
    }


def test_a_payment_that_is_over_is_left_by_money_alone() -> None:
    leaving = {step for state, step in PAYMENT_TRANSITIONS if state in ENDED}

    assert leaving == {PaymentStep.AUTHORIZE, PaymentStep.CAPTURE}


def test_captured_money_stays_captured() -> None:
    captured = PaymentState.CAPTURED

    assert {end for (state, _), end in PAYMENT_TRANSITIONS.items() if state is captured} == {
        captured
    }
