"""The usual way to serve such a table: FastAPI, async ORM, pydantic; exact count and offset.

``uvicorn fastapi_app:app --workers 2``, with ``BENCH_DATABASE_URL``.
"""

import os
from datetime import datetime
from decimal import Decimal

from fastapi import FastAPI, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ARRAY, DateTime, ForeignKey, Numeric, Text, func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    type_annotation_map = {Decimal: Numeric, datetime: DateTime(timezone=True), list: ARRAY(Text)}


class Asset(Base):
    __tablename__ = "assets"
    asset_id: Mapped[int] = mapped_column(primary_key=True)
    wire_id: Mapped[str]
    ticker: Mapped[str]
    name: Mapped[str]
    coin_id: Mapped[str | None]
    rank: Mapped[int | None]
    price_usd: Mapped[Decimal | None]
    market_cap_usd: Mapped[Decimal | None]
    volume_24h_usd: Mapped[Decimal | None]
    percent_change_24h: Mapped[Decimal | None]
    source: Mapped[str | None]
    sources: Mapped[list]
    sources_used: Mapped[list]
    price_spread_pct: Mapped[Decimal | None]
    confidence: Mapped[Decimal | None]
    observed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    ingested_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class Quote(Base):
    __tablename__ = "quotes"
    source: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.asset_id"))


class Row(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    wire_id: str
    asset_id: int
    coin_id: str | None
    ticker: str
    name: str
    rank: int | None
    price_usd: Decimal | None
    market_cap_usd: Decimal | None
    volume_24h_usd: Decimal | None
    percent_change_24h: Decimal | None
    source: str | None
    sources: list[str]
    sources_used: list[str]
    price_spread_pct: Decimal | None
    confidence: Decimal | None
    observed_at: datetime | None
    created_at: datetime
    ingested_at: datetime | None
    updated_at: datetime


class Page(BaseModel):
    data: list[Row]
    total: int
    limit: int
    offset: int


engine = create_async_engine(os.environ["BENCH_DATABASE_URL"], pool_size=8, pool_pre_ping=True)
sessions = async_sessionmaker(engine)
app = FastAPI()


def chosen(source: str | None, symbol: str | None):
    statement = select(Asset)
    if symbol is not None:
        statement = statement.where(Asset.ticker == symbol.upper())
    if source is not None:
        statement = statement.join(Quote, Quote.asset_id == Asset.asset_id)
        statement = statement.where(Quote.source == source)
    return statement


@app.get("/data")
async def data(
    limit: int = Query(50, le=1000),
    offset: int = 0,
    source: str | None = None,
    symbol: str | None = None,
    format: str = "json",  # noqa: A002
):
    statement = chosen(source, symbol)
    async with sessions() as session:
        total = await session.scalar(select(func.count()).select_from(statement.subquery()))
        ordered = statement.order_by(Asset.rank, Asset.asset_id).limit(limit).offset(offset)
        rows = (await session.scalars(ordered)).all()
        found = [Row.model_validate(row) for row in rows]
    if format == "ndjson":
        # In one piece: streamed, each line would go through Starlette's thread pool.
        body = "".join(f"{row.model_dump_json()}\n" for row in found)
        return Response(body, media_type="application/x-ndjson")
    return Page(data=found, total=total, limit=limit, offset=offset)
