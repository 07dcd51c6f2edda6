"""The loop such systems usually have: pydantic, and batches of 100 rows by INSERT … ON CONFLICT.

Run by the benchmark: ``row_loop.py BASE_URL DATABASE_URL PAGES``; prints seconds as JSON.
"""

import itertools
import json
import resource
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import requests
from pydantic import BaseModel, Field
from sqlalchemy import JSON, DateTime, Numeric, create_engine, func
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

BATCH = 100
PARAMS = {
    "vs_currency": "usd",
    "order": "market_cap_desc",
    "per_page": 250,
    "price_change_percentage": "1h,24h,7d",
    "precision": "full",
}


class Coin(BaseModel):
    coin_id: str = Field(alias="id")
    symbol: str
    name: str
    rank: int | None = Field(alias="market_cap_rank", default=None)
    price_usd: Decimal | None = Field(alias="current_price", default=None)
    market_cap_usd: Decimal | None = Field(alias="market_cap", default=None)
    volume_24h_usd: Decimal | None = Field(alias="total_volume", default=None)
    percent_change_24h: Decimal | None = Field(alias="price_change_percentage_24h", default=None)
    updated_at: datetime = Field(alias="last_updated")


class Base(DeclarativeBase):
    type_annotation_map = {Decimal: Numeric, datetime: DateTime(timezone=True), dict: JSON}


class RawCoin(Base):
    __tablename__ = "loop_raw"
    coin_id: Mapped[str] = mapped_column(primary_key=True)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    ingested_at: Mapped[datetime] = mapped_column(server_default=func.now())


class UnifiedCoin(Base):
    __tablename__ = "loop_unified"
    coin_id: Mapped[str] = mapped_column(primary_key=True)
    symbol: Mapped[str]
    name: Mapped[str]
    rank: Mapped[int | None]
    price_usd: Mapped[Decimal | None]
    market_cap_usd: Mapped[Decimal | None]
    volume_24h_usd: Mapped[Decimal | None]
    percent_change_24h: Mapped[Decimal | None]
    updated_at: Mapped[datetime]


def items(base_url: str, pages: int) -> Iterator[dict]:
    with requests.Session() as http:
        for page in range(1, pages + 1):
            yield from http.get(f"{base_url}/coins/markets", params=PARAMS | {"page": page}).json()


def write(session: Session, batch: list[dict]) -> None:
    raw = [{"coin_id": item["id"], "payload": item} for item in batch]
    unified = [Coin.model_validate(item).model_dump() for item in batch]
    for table, rows in ((RawCoin, raw), (UnifiedCoin, unified)):
        statement = insert(table).values(rows)
        changed = {c.name: c for c in statement.excluded if c.name in rows[0]}
        session.execute(statement.on_conflict_do_update(index_elements=["coin_id"], set_=changed))
    session.commit()


def main(base_url: str, database_url: str, pages: int) -> None:
    engine = create_engine(database_url)
    Base.metadata.create_all(engine)
    before, began_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    with Session(engine) as session:
        found = items(base_url, pages)
        while batch := list(itertools.islice(found, BATCH)):
            write(session, batch)
    took_s, after = time.perf_counter() - began_s, resource.getrusage(resource.RUSAGE_SELF)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sys.stdout.write(json.dumps({"seconds": took_s, "processor_s": used_s}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
