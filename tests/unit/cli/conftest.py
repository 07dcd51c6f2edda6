from tests.support.environment import _environment_stays

__all__ = ["_environment_stays"]
