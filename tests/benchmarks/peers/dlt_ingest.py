"""dlt reads the market list into PostgreSQL; prints seconds and processor time as JSON.

Run by the benchmark in the peers' environment: ``dlt_ingest.py MODE BASE_URL DATABASE_URL PAGES``.
``defaults`` is the rest_api source with merge as its documentation shows it; ``best`` gives dlt
Arrow tables, CSV files and the upsert strategy. Both write what we write: the items as they came,
the latest of each coin, and a row of history for each.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dlt
import pyarrow as pa
import requests
from dlt.destinations import postgres
from dlt.sources.rest_api import rest_api_source

PARAMS = {
    "vs_currency": "usd",
    "order": "market_cap_desc",
    "per_page": 250,
    "price_change_percentage": "1h,24h,7d",
    "precision": "full",
}


HISTORY = ("id", "current_price", "market_cap", "total_volume", "last_updated")


def defaults(base_url: str, pages: int):
    source = rest_api_source(
        {
            "client": {
                "base_url": base_url,
                "paginator": {
                    "type": "page_number",
                    "base_page": 1,
                    "page_param": "page",
                    "total_path": None,
                    "maximum_page": pages + 1,
                },
            },
            "resources": [
                {
                    "name": "coins",
                    "primary_key": "id",
                    "write_disposition": "merge",
                    "endpoint": {"path": "coins/markets", "params": PARAMS},
                }
            ],
        }
    )

    @dlt.transformer(
        data_from=source.coins,
        write_disposition="append",
        columns={"payload": {"data_type": "json"}},
    )
    def raw(items: list[dict]) -> list[dict]:
        return [{"id": item["id"], "payload": dict(item)} for item in items]

    @dlt.transformer(data_from=source.coins, write_disposition="append")
    def history(items: list[dict]) -> list[dict]:
        return [{name: item.get(name) for name in HISTORY} for item in items]

    source.resources.add(raw, history)
    return source


def best(base_url: str, pages: int):
    @dlt.resource(selected=False)
    def answers() -> Iterator[list[dict]]:
        with requests.Session() as http:
            for page in range(1, pages + 1):
                answer = http.get(f"{base_url}/coins/markets", params=PARAMS | {"page": page})
                yield answer.json()

    @dlt.transformer(
        data_from=answers,
        primary_key="id",
        write_disposition={"disposition": "merge", "strategy": "upsert"},
    )
    def coins(items: list[dict]) -> pa.Table:
        return pa.Table.from_pylist([_flat(item) for item in items], schema=_SCHEMA)

    @dlt.transformer(data_from=answers, write_disposition="append")
    def raw(items: list[dict]) -> pa.Table:
        rows = [{"id": item["id"], "payload": json.dumps(item)} for item in items]
        return pa.Table.from_pylist(rows, schema=_RAW_SCHEMA)

    @dlt.transformer(data_from=answers, write_disposition="append")
    def history(items: list[dict]) -> pa.Table:
        rows = [_flat(item) for item in items]
        return pa.Table.from_pylist(rows, schema=_HISTORY_SCHEMA)

    return [coins, raw, history]


_TEXTS = ("id", "symbol", "name", "image", "ath_date", "atl_date", "last_updated")
_NUMBERS = (
    "current_price", "market_cap", "market_cap_rank", "fully_diluted_valuation", "total_volume",
    "high_24h", "low_24h", "price_change_24h", "price_change_percentage_24h",
    "market_cap_change_24h", "market_cap_change_percentage_24h", "circulating_supply",
    "total_supply", "max_supply", "ath", "ath_change_percentage", "atl", "atl_change_percentage",
    "price_change_percentage_1h_in_currency", "price_change_percentage_24h_in_currency",
    "price_change_percentage_7d_in_currency",
)  # fmt: skip
_SCHEMA = pa.schema(
    [pa.field(name, pa.string(), nullable=name != "id") for name in _TEXTS]
    + [pa.field(name, pa.float64()) for name in _NUMBERS]
)
_RAW_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("payload", pa.string())])
_HISTORY_SCHEMA = pa.schema([_SCHEMA.field(name) for name in HISTORY])


def _flat(item: dict) -> dict:
    return {name: item.get(name) for name in _TEXTS} | {
        name: None if item.get(name) is None else float(item[name]) for name in _NUMBERS
    }


def main(mode: str, base_url: str, database_url: str, pages: int) -> None:
    pipeline = dlt.pipeline(
        pipeline_name=f"bench_{mode}",
        destination=postgres(database_url),
        dataset_name=f"dlt_{mode}",
        pipelines_dir=str(Path.cwd() / "dlt"),
    )
    source = {"defaults": defaults, "best": best}[mode](base_url, pages)
    options = {"loader_file_format": "csv"} if mode == "best" else {}
    before, began_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    pipeline.run(source, **options).raise_on_failed_jobs()
    took_s, after = time.perf_counter() - began_s, resource.getrusage(resource.RUSAGE_SELF)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sys.stdout.write(json.dumps({"seconds": took_s, "processor_s": used_s}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
