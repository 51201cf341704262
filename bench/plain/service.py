"""The usual way: a refund service with FastAPI and SQLAlchemy, as a good team would write it.

    python bench/plain/service.py --dsn DSN --furnish PAYMENTS --key KEY
    python bench/plain/service.py --dsn DSN --port N --pool 8

Two transactions for each refund: accept it and reserve its amount; then, once the bank has
answered, book its end. The bank answers at once, in this process. The merchant's account is locked
first, so that nobody waits in a circle.
"""

import argparse
import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy import BigInteger, ForeignKey, Text, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

MERCHANT = "main"
PAID = 1_000_000_000


class Base(DeclarativeBase):
    type_annotation_map = {int: BigInteger, str: Text}  # noqa: RUF012 so SQLAlchemy has it


class ApiKey(Base):
    __tablename__ = "api_key"
    sha256: Mapped[str] = mapped_column(primary_key=True)
    merchant: Mapped[str]


class Account(Base):
    __tablename__ = "account"
    name: Mapped[str] = mapped_column(primary_key=True)
    balance: Mapped[int]


class Payment(Base):
    __tablename__ = "payment"
    id: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[str]
    captured: Mapped[int]
    reserved: Mapped[int]
    refunded: Mapped[int]


class Refund(Base):
    __tablename__ = "refund"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    payment: Mapped[str] = mapped_column(ForeignKey("payment.id"), index=True)
    amount: Mapped[int]
    status: Mapped[str]


class Idempotency(Base):
    __tablename__ = "idempotency"
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    refund: Mapped[int]


class Entry(Base):
    __tablename__ = "entry"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    refund: Mapped[int]
    debit: Mapped[str]
    credit: Mapped[str]
    amount: Mapped[int]


class Outbox(Base):
    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    type: Mapped[str]
    body: Mapped[str]


class Wish(BaseModel):
    payment: str
    amount: Annotated[int, Field(gt=0, strict=True)]
    currency: str


def application(dsn: str, pool: int) -> FastAPI:
    engine = create_async_engine(dsn, pool_size=pool, max_overflow=0, pool_timeout=30)
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    @app.post("/v1/refunds", status_code=201)
    async def refund(
        wish: Wish,
        opened: Annotated[AsyncSession, Depends(session)],
        authorization: Annotated[str, Header()],
        idempotency_key: Annotated[str, Header()],
    ) -> dict[str, Any]:
        sha256 = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).hexdigest()
        number = await accept(opened, wish, sha256, idempotency_key)
        return await finish(opened, number)

    return app


async def accept(session: AsyncSession, wish: Wish, sha256: str, key: str) -> int:
    fingerprint = hashlib.sha256(wish.model_dump_json().encode()).hexdigest()
    try:
        async with session.begin():
            api_key = await session.get(ApiKey, sha256)
            if api_key is None:
                raise HTTPException(401)
            account = await locked(session, Account, f"merchant/{api_key.merchant}")
            known = await session.get(Idempotency, key)
            if known is not None:
                if known.fingerprint != fingerprint:
                    raise HTTPException(422, "key reused")
                return known.refund
            payment = await locked(session, Payment, wish.payment)
            left = payment.captured - payment.reserved - payment.refunded
            if payment.currency != wish.currency or wish.amount > left:
                raise HTTPException(422, "amount exceeds refundable")
            payment.reserved += wish.amount
            refund = Refund(payment=payment.id, amount=wish.amount, status="pending")
            session.add(refund)
            await session.flush()
            session.add(Idempotency(key=key, fingerprint=fingerprint, refund=refund.id))
            session.add(
                Entry(refund=refund.id, debit=account.name, credit="in_flight", amount=wish.amount)
            )
            session.add(Outbox(type="refund.accepted", body=json.dumps({"id": refund.id})))
            account.balance -= wish.amount
            return refund.id
    except IntegrityError as error:
        raise HTTPException(409, "the key is being used") from error


async def finish(session: AsyncSession, number: int) -> dict[str, Any]:
    """The bank has said yes."""
    async with session.begin():
        bank = await locked(session, Account, "bank")
        refund = await locked(session, Refund, number)
        if refund.status == "pending":
            payment = await locked(session, Payment, refund.payment)
            refund.status = "succeeded"
            payment.reserved -= refund.amount
            payment.refunded += refund.amount
            session.add(
                Entry(refund=refund.id, debit="in_flight", credit=bank.name, amount=refund.amount)
            )
            session.add(Outbox(type="refund.succeeded", body=json.dumps({"id": refund.id})))
            bank.balance -= refund.amount
        return {"id": refund.id, "status": refund.status, "amount": refund.amount}


async def locked(session: AsyncSession, table: Any, name: Any) -> Any:
    [column] = table.__table__.primary_key.columns
    statement = select(table).where(column == name).with_for_update()
    found = (await session.execute(statement)).scalar_one_or_none()
    if found is None:
        raise HTTPException(404)
    return found


async def furnish(dsn: str, key: str, payments: int) -> None:
    """The tables, a key, two accounts, and payments that are captured."""
    engine = create_async_engine(dsn)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with async_sessionmaker(engine)() as session, session.begin():
        session.add(ApiKey(sha256=hashlib.sha256(key.encode()).hexdigest(), merchant=MERCHANT))
        session.add_all([Account(name=f"merchant/{MERCHANT}", balance=0)])
        session.add(Account(name="bank", balance=0))
        session.add_all(
            Payment(id=f"p{number}", currency="CNY", captured=PAID, reserved=0, refunded=0)
            for number in range(payments)
        )
    await engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--port", type=int)
    parser.add_argument("--pool", type=int, default=8)
    parser.add_argument("--furnish", type=int, metavar="PAYMENTS", help="make the tables, and end")
    parser.add_argument("--key", default="", help="of the API, that is furnished")
    asked = parser.parse_args()
    if asked.furnish is not None:
        asyncio.run(furnish(asked.dsn, asked.key, asked.furnish))
        return
    uvicorn.run(
        application(asked.dsn, asked.pool),
        host="127.0.0.1",
        port=asked.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
