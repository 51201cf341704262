"""The mistakes that the simulation must find: each is a textual patch of a copy of the source.

The text that is replaced stands there exactly once. Choose it short, and with the mistake in it:
a patch that no longer fits stops the hunt.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patch:
    path: str  # Below src/contraflow.
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Bug:
    name: str
    patches: tuple[Patch, ...]
    is_quick: bool = True  # Found within some dozens of histories, so that it can be tried often.


def bug(name: str, *patches: tuple[str, str, str], is_quick: bool = True) -> Bug:
    return Bug(name, tuple(Patch(*patch) for patch in patches), is_quick)


NOTHING = bug("nothing at all")

OF_TALKING = (
    bug(
        "FAILED on a timeout",
        (
            "engine/dispatch.py",
            "        return said.Unknown(evidence)",
            "        signed = replace(evidence, proof=said.Proof.SIGNATURE)\n"
            "        return said.Declined(Retry.NEVER, evidence=signed)",
        ),
    ),
    bug(
        "sent again on a timeout",
        (
            "engine/dispatch.py",
            "isinstance(outcome, said.NotFound) and is_safe",
            "isinstance(outcome, said.NotFound | said.Unknown)",
        ),
        (
            "domain/decide/sent.py",
            "if step is Step.RESEND and instruction.in_doubt and not terms.same_number_again:",
            "if step is Step.RESEND and instruction.attempt < 0:",
        ),
    ),
    bug(
        "marked after it was sent",
        (
            "engine/dispatch.py",
            """    marked = await submit(parts.intake, mark)
    if not isinstance(marked, Accepted) or marked.payment is None:
        return  # Somebody else has it, it was withdrawn, or it is not its turn.
    [sent] = marked.instructions
    attempt = attempt_of(marked.payment, sent, ACTIONS[sent.kind])
""",
            """    payment = (await parts.store.contents()).payments[instruction.payment_id]
    attempt = attempt_of(payment, instruction, ACTIONS[instruction.kind])
""",
        ),
        (
            "engine/dispatch.py",
            "    heard = await record(parts, channel, sent, outcome, asked_at)\n",
            """    marked = await submit(parts.intake, mark)
    if not isinstance(marked, Accepted) or marked.payment is None:
        return
    [sent] = marked.instructions
    heard = await record(parts, channel, sent, outcome, asked_at)
""",
        ),
    ),
    bug(
        "a lost reply counts as not sent",
        ("errors.py", "class ReplyLost(OperationalError):", "class ReplyLost(NotSent):"),
    ),
    bug(
        "a 5xx is a refusal",
        (
            "channels/sandbox.py",
            "        except (SignatureInvalid, ValueError):\n",
            "        except (SignatureInvalid, ValueError):\n"
            "            if reply.status >= 500:\n"
            "                signed = replace(evidence, proof=Proof.SIGNATURE)\n"
            "                return Declined(Retry.NEVER, evidence=signed)\n",
        ),
    ),
    bug(
        "a 200 that nobody has signed is a success",
        (
            "channels/sandbox.py",
            "        except (SignatureInvalid, ValueError):\n",
            "        except (SignatureInvalid, ValueError):\n"
            "            if reply.status == 200:\n"
            "                signed = replace(evidence, proof=Proof.SIGNATURE)\n"
            "                return Succeeded(attempt.amount, attempt.payment_id, '', signed)\n",
        ),
    ),
    bug(
        "a first byte may leave after leave_by",
        ("simulation/network.py", "if world.store.now() > leave_by:", "if leave_by < 0:"),
    ),
    bug(
        "an attempt is dead as soon as no byte may leave",
        (
            "domain/hearing.py",
            "asked_at >= instruction.leave_by + terms.dead_after_ms",
            "asked_at >= instruction.leave_by",
        ),
    ),
    bug(
        "the time of the answer is taken for the time of the question",
        ("engine/dispatch.py", "        asked_at=asked_at,\n", "        asked_at=now,\n"),
        is_quick=False,
    ),
    bug(
        "pending is as good as succeeded",
        ("channels/sandbox.py", 'case "succeeded":', 'case "succeeded" | "pending":'),
    ),
    bug(
        "already captured is as good as voided",
        (
            "channels/sandbox.py",
            'case "already_done" if action in (Action.CLOSE, Action.VOID):',
            'case "already_done" | "declined" if action in (Action.CLOSE, Action.VOID):',
        ),
    ),
    bug(
        "too late to withdraw is as good as withdrawn",
        (
            "channels/sandbox.py",
            "            return Accepted(answer.reference, evidence=evidence)  # It goes on.",
            "            return Withdrawn(evidence)",
        ),
    ),
    bug(
        "a forged notice is believed",
        (
            "wire/sandbox.py",
            "    verify(line, sort, body, header(headers, SIGNATURE))\n",
            "",
        ),
    ),
    bug(
        "each attempt has its own number",
        (
            "engine/attempts.py",
            "number=instruction.number,",
            'number=f"{instruction.number[:24]}{instruction.attempt:02}",',
        ),
    ),
    bug(
        "what is asked for is all that the payment has reserved",
        (
            "engine/attempts.py",
            "amount=instruction.amount,",
            "amount=payment.money(payment.reserved or instruction.minor),",
        ),
    ),
)

OF_HEARING = (
    bug(
        "a refusal is final while an earlier attempt travels",
        (
            "domain/hearing.py",
            "if not is_only and not is_dead(instruction, terms, asked_at):",
            "if instruction.attempt < 0:",
        ),
    ),
    bug(
        "not sent forgets that an earlier attempt travels",
        (
            "domain/hearing.py",
            "    if instruction.in_doubt:\n",
            "    if instruction.attempt < 0:\n",
        ),
    ),
    bug(
        "a lost attempt leaves no doubt behind",
        (
            "domain/instruction.py",
            "in_doubt=self.in_doubt or step in DOUBTS,",
            "in_doubt=self.in_doubt,",
        ),
    ),
    bug(
        "absent is believed at once",
        (
            "domain/hearing.py",
            "if not (terms.not_found_is_proof and is_dead(instruction, terms, asked_at)):",
            "if not terms.not_found_is_proof:",
        ),
    ),
    bug(
        "a new number without proof that the old one is dead",
        (
            "domain/hearing.py",
            "    if not (terms.not_found_is_proof and is_dead(instruction, terms, asked_at)):\n"
            "        return Hearing((Step.LOSE,))\n",
            "    if not (terms.not_found_is_proof and is_dead(instruction, terms, asked_at)):\n"
            "        return Hearing((Step.LOSE,), is_proven_dead=True, needs_new_number=True)\n",
        ),
    ),
    bug(
        "the generation rises and the number stays",
        (
            "domain/hearing.py",
            "return replace(risen, number=numbers_of(risen)[-1])",
            "return replace(risen, number=numbers_of(risen)[0])",
        ),
        (
            "store/sqlite_save.py",
            "    write(connection, sql.INSERT_OLD_NUMBER, old_numbers)\n",
            "",
        ),
    ),
    bug(
        "another amount is booked as a success",
        (
            "domain/hearing.py",
            "return told.amount == instruction.amount and told.payment_id",
            "return told.payment_id",
        ),
    ),
    bug(
        "a bounce before the success is taken for the success",
        (
            "domain/hearing.py",
            "return Hearing((Step.SUCCEED, Step.BOUNCE))",
            "return Hearing((Step.SUCCEED,))",
        ),
    ),
    bug(
        "a bounce after the success is not heard",
        (
            "domain/hearing.py",
            "return walk(now, payment, bounced, (Step.BOUNCE,), evidence=evidence)",
            "return Accepted()",
        ),
    ),
    bug(
        "a withdrawal after the send is believed at once",
        (
            "domain/decide/withdrawal.py",
            "    if instruction.can(Step.WITHDRAW):\n",
            "    if instruction.can(Step.WITHDRAW_CONFIRMED):\n"
            "        taken = replace(instruction, lease=instruction.lease + 1)\n"
            "        return walk(now, payment, taken, (Step.WITHDRAW_CONFIRMED,))\n"
            "    if instruction.can(Step.WITHDRAW):\n",
        ),
    ),
)

OF_SENDING = (
    bug(
        "a stale lease is accepted",
        (
            "domain/fencing.py",
            "if instruction.fence != fence:",
            "if instruction.attempt != fence.attempt:",
        ),
    ),
    bug(
        "the outcome of one attempt is booked on another",
        ("domain/fencing.py", "if instruction.fence != fence:", "if fence.lease < 0:"),
    ),
    bug(
        "only the queue looks at the hold mode",
        (
            "domain/decide/sent.py",
            "if is_on_hold(snapshot, instruction):",
            "if step is not Step.SEND and is_on_hold(snapshot, instruction):",
        ),
    ),
    bug(
        "what is sent again is not held",
        (
            "domain/decide/sent.py",
            "if is_on_hold(snapshot, instruction):",
            "if step is Step.SEND and is_on_hold(snapshot, instruction):",
        ),
    ),
    bug(
        "a hold of a merchant holds nobody",
        ("domain/decide/switch.py", 'f"merchant:{tenant}")', 'f"merchant/{tenant}")'),
    ),
    bug(
        "refunds of a payment keep no distance",
        (
            "domain/decide/sent.py",
            "    if next_at > snapshot.now:\n",
            "    if next_at < 0:\n",
        ),
    ),
    bug(
        "the distance is kept from the first refund only",
        (
            "domain/decide/sent.py",
            "payment = replace(payment, refund_sent_at=snapshot.now)",
            "payment = replace(payment, refund_sent_at=payment.refund_sent_at or snapshot.now)",
        ),
    ),
    bug(
        "a cancel or a capture does not wait for what is unknown",
        (
            "domain/decide/sent.py",
            "return payment.unknown > 0 and",
            "return payment.unknown > 99 and",
        ),
    ),
    bug(
        "what its owner wants back is sent again",
        (
            "domain/decide/sent.py",
            "if not instruction.can(step) or is_stopped:",
            "if not instruction.can(step):",
        ),
        (
            "engine/dispatch.py",
            "if instruction.state is not State.UNKNOWN or instruction.withdrawal is "
            "Withdrawal.ASKED:",
            "if instruction.state is not State.UNKNOWN:",
        ),
        (
            "domain/hearing.py",
            "    if instruction.withdrawal is Withdrawal.ASKED:\n"
            "        return Hearing((Step.WITHDRAW_CONFIRMED,))\n"
            "    if instruction.tries >= policy.attempts_max or",
            "    if instruction.tries >= policy.attempts_max or",
        ),
    ),
    bug(
        "attempts are not counted",
        (
            "domain/decide/sent.py",
            "if instruction.tries >= snapshot.policy.attempts_max and",
            "if instruction.attempt >= 99 and",
        ),
        (
            "domain/hearing.py",
            "    if instruction.tries >= policy.attempts_max:\n",
            "    if instruction.attempt >= 99:\n",
        ),
        (
            "domain/hearing.py",
            "if instruction.tries >= policy.attempts_max or",
            "if instruction.attempt >= 99 or",
        ),
        is_quick=False,
    ),
    bug(
        "an operator's redirect may act twice",
        (
            "domain/decide/case.py",
            "is_safe = terms is not None and terms.same_number_again",
            "is_safe = terms is not None",
        ),
    ),
    bug(
        "at a start what was sent goes back to be sent",
        (
            "store/sqlite_statements.py",
            "SET version = version + 1, due_at = ?, lease = lease + 1\n",
            "SET version = version + 1, due_at = ?, lease = lease + 1, state = 'accepted'\n",
        ),
    ),
)

OF_AMOUNTS = (
    bug(
        "what is unknown is no longer reserved",
        (
            "domain/movement.py",
            "    if turn is Turn.NOTHING:\n",
            "    if step is Step.LOSE and moved.kind is Kind.REFUND:\n"
            "        return Change(amounts.release_refund(payment, moved.minor))\n"
            "    if turn is Turn.NOTHING:\n",
        ),
    ),
    bug(
        "the cap is read outside the batch",
        (
            "engine/commit.py",
            "    snapshot = draft.snapshot\n",
            "    snapshot = draft.snapshot\n"
            "    if isinstance(command, Keyed):\n"
            "        snapshot = replace(snapshot, payments=draft.loaded.payments)\n",
        ),
        (
            "engine/commit.py",
            "from contraflow.domain.commands import",
            "from msgspec.structs import replace\nfrom contraflow.domain.commands import",
        ),
    ),
    bug(
        "the cap forgets what is reserved",
        (
            "domain/payment.py",
            "return max(0, self.captured - self.gone)",
            "return max(0, self.captured - self.refunded - self.charged_back)",
        ),
        (
            "domain/payment.py",
            "return replace(payment, reserved=payment.reserved + minor, "
            "refunds=payment.refunds + 1)",
            "excess = max(0, payment.gone + minor - payment.captured)\n"
            "    return replace(payment, reserved=payment.reserved + minor, "
            "refunds=payment.refunds + 1, excess=excess)",
        ),
    ),
    bug(
        "the excess is not computed again on a release",
        (
            "domain/payment.py",
            "return replace(payment, reserved=reserved, refunds=refunds, excess=excess)",
            "return replace(payment, reserved=reserved, refunds=refunds)",
        ),
        (
            "domain/payment.py",
            "assert self.excess == max(0, gone - self.captured)",
            "assert self.excess >= max(0, gone - self.captured)",
        ),
        (
            "store/migrations/0001_schema.sql",
            "CHECK (excess = max(",
            "CHECK (excess >= max(",
        ),
    ),
    bug(
        "a refund that bounced stays refunded",
        (
            "domain/payment.py",
            "return replace(payment, refunded=payment.refunded - minor, excess=excess)",
            "return payment",
        ),
    ),
    bug(
        "a chargeback that was won is not given back",
        (
            "domain/booking.py",
            "taken = 0 if known is None else -minor",
            "taken = 0",
        ),
    ),
    bug(
        "a void of a part cancels the payment",
        (
            "domain/movement.py",
            "if is_all and voided.can(PaymentStep.CANCEL):",
            "if voided.can(PaymentStep.CANCEL):",
        ),
    ),
    bug(
        "what is no longer unknown is still counted",
        (
            "domain/movement.py",
            "change = (after is State.UNKNOWN) - (before is State.UNKNOWN)",
            "change = after is State.UNKNOWN and before is not State.UNKNOWN",
        ),
    ),
)

OF_FACTS = (
    bug(
        "a notice that comes twice is applied twice",
        (
            "domain/decide/fact.py",
            "return replace(applied, facts=(*applied.facts, _notice(snapshot, command)))",
            "return applied",
        ),
        (
            "domain/booking.py",
            "fact_id = fact_id_for(payment.payment_id, FactKind.CAPTURE, name)",
            "fact_id = fact_id_for(payment.payment_id, FactKind.CAPTURE, f'{name}-{snapshot.now}')",
        ),
        is_quick=False,
    ),
    bug(
        "a late capture is dropped",
        (
            "domain/booking.py",
            "    fact_id = fact_id_for(payment.payment_id, FactKind.CAPTURE, name)\n"
            "    if fact_id in snapshot.facts:\n",
            "    fact_id = fact_id_for(payment.payment_id, FactKind.CAPTURE, name)\n"
            "    if fact_id in snapshot.facts or payment.state in ENDED:\n",
        ),
        is_quick=False,
    ),
    bug(
        "a refund made elsewhere must find something refundable",
        (
            "domain/booking.py",
            "FactKind.REFUND_ELSEWHERE, told.refund_id)\n    if fact_id in snapshot.facts:\n",
            "FactKind.REFUND_ELSEWHERE, told.refund_id)\n"
            "    if fact_id in snapshot.facts or not payment.refundable:\n",
        ),
    ),
    bug(
        "a dispute that is won before it is opened is forgotten",
        (
            "domain/booking.py",
            "    minor = told.amount.minor if known is None else known.minor\n",
            "    if known is None and state is FactState.WON:\n"
            "        return Accepted(payment=payment)\n"
            "    minor = told.amount.minor if known is None else known.minor\n",
        ),
        is_quick=False,
    ),
    bug(
        "a fact about an unknown payment is dropped",
        (
            "domain/decide/fact.py",
            "    if applied is None:\n        return keep(snapshot, command)\n",
            "    if applied is None:\n"
            "        return Accepted(facts=(_notice(snapshot, command),))\n",
        ),
    ),
    bug(
        "a capture has no row of its own",
        (
            "domain/movement.py",
            "            facts.extend(captures_of(change, moved, now))\n",
            "",
        ),
    ),
)

OF_BOOKS = (
    bug(
        "an event without its entry",
        (
            "ledger/journal.py",
            "            if sides is None:\n",
            "            if sides is None or TURNS[event.step] is Turn.BOUNCES:\n",
        ),
    ),
    bug(
        "an entry without its event",
        (
            "store/sqlite_save.py",
            "entries.append((position, line, object_id, sequence, debit",
            "entries.append((position, line, object_id, sequence + 1, debit",
        ),
    ),
    bug(
        "the balance of one account is not updated",
        (
            "store/sqlite_save.py",
            "sums[debit, currency] += minor",
            'sums[debit, currency] += 0 if debit.endswith("loss.over_reversal") else minor',
        ),
    ),
    bug(
        "the sequence of an instruction is not raised",
        (
            "domain/instruction.py",
            "sequence=self.sequence + 1,",
            "sequence=self.sequence + (step is not Step.LOSE),",
        ),
    ),
    bug(
        "a batch is committed in two halves",
        (
            "store/sqlite_save.py",
            "    if commit.records:\n",
            '    connection.execute("COMMIT")\n'
            '    connection.execute("BEGIN IMMEDIATE")\n'
            "    if commit.records:\n",
        ),
    ),
    bug(
        "a sink that is down misses what it was told",
        (
            "engine/notify.py",
            "            break\n",
            "            continue\n",
        ),
    ),
    bug(
        "a sink is past what it has not kept",
        (
            "engine/notify.py",
            "            seen = 0\n",
            "            pass\n",
        ),
    ),
)

OF_RECEIPTS = (
    bug(
        "the fingerprint is not compared",
        (
            "engine/commit.py",
            "if stored.fingerprint != command.fingerprint:",
            "if not stored.fingerprint:",
        ),
    ),
    bug(
        "a receipt is told in other words the second time",
        (
            "engine/commit.py",
            "return Told(stored, is_replayed=True)",
            "return Told(receipt_for(command, Accepted(), draft.loaded.now), is_replayed=True)",
        ),
    ),
    bug(
        "a refusal is told and not kept",
        (
            "engine/commit.py",
            "    draft.new_receipts.append(receipt)\n",
            "    if isinstance(decision, Accepted):\n        draft.new_receipts.append(receipt)\n",
        ),
    ),
)

BUGS = (
    *OF_TALKING,
    *OF_HEARING,
    *OF_SENDING,
    *OF_AMOUNTS,
    *OF_FACTS,
    *OF_BOOKS,
    *OF_RECEIPTS,
)
