"""Celery's settings, and nothing else; each that is not a default says why.

Measured reasons: docs/adr/0004-celery-and-redis.md.
"""

from kombu.entity import Exchange, Queue

from tasks.core.schedules import Every, parse_schedule
from tasks.core.settings import load_settings
from tasks.messages import AGE, PURGE, QUEUES, START_DUE_RUN, SWEEP, WATCH, fetch_task
from tasks.scheduling import Aligned

_settings = load_settings()
_limits = _settings.limits

broker_url = _settings.redis_url
broker_transport_options = {
    "visibility_timeout": _limits.visibility_s,
    "unacked_restore_interval": 5,  # with the defaults a lost delivery takes ten times as long
    "unacked_restore_throttle": 1,
    "socket_timeout": 5,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # the default gives up after 48 minutes
broker_channel_error_retry = True  # a full Redis must not end the worker
broker_pool_acquire_timeout = 5

accept_content = ["json"]
task_serializer = "json"
result_serializer = "json"
task_ignore_result = True  # the database is the truth
enable_utc = True
timezone = "UTC"

task_queues = [Queue(name, Exchange(name), routing_key=name) for name in QUEUES]
task_create_missing_queues = False
task_default_queue = "maintenance"
task_routes = {"kasparro.transform": "transform", "kasparro.load": "load"} | {
    fetch_task(source): "fetch" for source in _settings.sources
}

task_acks_late = True
task_acks_on_failure = True  # the database decides about trying again
task_acks_on_timeout = True
task_reject_on_worker_lost = True
task_soft_time_limit = _limits.soft_s
task_time_limit = _limits.hard_s
task_annotations = {
    # Per worker, so only the second fence; the first is the budget that all workers share.
    fetch_task(source.name): {"rate_limit": f"{source.rate_per_minute}/m"}
    for source in _settings.sources.values()
    if source.rate_per_minute
}
task_publish_retry = False  # a message that was not sent is sent by the sweeper
task_send_sent_event = True
worker_send_task_events = True  # so that Flower sees everything

worker_prefetch_multiplier = 1
worker_max_tasks_per_child = 1000
worker_max_memory_per_child = 400_000  # KiB
worker_cancel_long_running_tasks_on_connection_loss = False  # the work is fenced; let it finish
worker_soft_shutdown_timeout = 10.0
worker_hijack_root_logger = False
worker_redirect_stdouts = False

beat_max_loop_interval = 5
beat_schedule = {
    "sweep": {
        "task": SWEEP,
        "schedule": Aligned(Every(_limits.sweep_s)),
        "options": {"queue": "maintenance", "expires": _limits.sweep_s * 2},
    },
    "watch": {
        "task": WATCH,
        "schedule": Aligned(Every(60)),
        "options": {"queue": "maintenance", "expires": 120},
    },
    "purge": {
        "task": PURGE,
        "schedule": Aligned(parse_schedule("41 3 * * *")),
        "options": {"queue": "maintenance", "expires": 3600},
    },
    "age": {
        "task": AGE,
        "schedule": Aligned(Every(60)),
        "options": {"queue": "maintenance", "expires": 120},
    },
} | {
    f"run-{source.name}": {
        "task": START_DUE_RUN,
        "schedule": Aligned(source.schedule),
        "args": (source.name,),
        "options": {"queue": "maintenance"},
    }
    for source in _settings.sources.values()
}
