"""Every table, a module for each group; this package is how the rest of the code names them."""

from tasks.store.tables.assets import Asset, AssetLink, KnownId
from tasks.store.tables.base import RANK_BLOCK, Base
from tasks.store.tables.governance import (
    ApiKey,
    AuditEntry,
    DataVersion,
    IdempotencyKey,
    MetricTotal,
)
from tasks.store.tables.market import AssetBaseline, AssetHistory, QuoteHistory, QuoteRow
from tasks.store.tables.news import News, NewsAsset
from tasks.store.tables.pages import RawPage, StagedNews, StagedQuote
from tasks.store.tables.quality import Anomaly, RejectionRow, SchemaDriftLog, SchemaShape
from tasks.store.tables.runs import Checkpoint, Run, RunEvent, RunPage

__all__ = [
    "RANK_BLOCK",
    "Anomaly",
    "ApiKey",
    "Asset",
    "AssetBaseline",
    "AssetHistory",
    "AssetLink",
    "AuditEntry",
    "Base",
    "Checkpoint",
    "DataVersion",
    "IdempotencyKey",
    "KnownId",
    "MetricTotal",
    "News",
    "NewsAsset",
    "QuoteHistory",
    "QuoteRow",
    "RawPage",
    "RejectionRow",
    "Run",
    "RunEvent",
    "RunPage",
    "SchemaDriftLog",
    "SchemaShape",
    "StagedNews",
    "StagedQuote",
]
