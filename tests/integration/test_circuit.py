import pytest

from tasks.coordination import keys
from tasks.coordination.budget import CallLimits, RedisBudget
from tasks.coordination.circuit import RedisCircuit
from tasks.coordination.gate import RedisGate
from tasks.coordination.redis_client import create_redis_client
from tasks.core.errors import BudgetWaitError, CircuitOpenError, UnavailableError
from tests.support.clocks import FakeClock


@pytest.fixture
def client(redis_url):
    client = create_redis_client(redis_url)
    yield client
    client.close()


@pytest.fixture
def circuit(client):
    return RedisCircuit(client, "vendor", failures=3, open_s=60, probe_s=30)


def fail(circuit, times):
    for _ in range(times):
        circuit.failed()


def let_the_pause_pass(client):
    """The pause is the expiry of one key, so a test need not wait for it."""
    client.delete(keys.opened("vendor"))


def test_a_circuit_opens_after_failures_in_a_row(circuit):
    fail(circuit, 2)
    circuit.enter()
    assert circuit.state() == "closed"
    fail(circuit, 1)
    assert circuit.state() == "open"
    with pytest.raises(CircuitOpenError) as raised:
        circuit.enter()
    assert 59 < raised.value.retry_after_s <= 60


def test_a_success_in_between_starts_the_count_anew(circuit):
    fail(circuit, 2)
    circuit.succeeded()
    fail(circuit, 2)
    circuit.enter()


def test_half_open_lets_one_worker_in(circuit, client, redis_url):
    fail(circuit, 3)
    let_the_pause_pass(client)
    assert circuit.state() == "half_open"
    circuit.enter()
    others = create_redis_client(redis_url)
    with pytest.raises(CircuitOpenError) as raised:
        RedisCircuit(others, "vendor", failures=3).enter()
    assert 29 < raised.value.retry_after_s <= 30
    others.close()


def test_a_probe_that_succeeds_closes_and_one_that_fails_opens(circuit, client):
    fail(circuit, 3)
    let_the_pause_pass(client)
    circuit.enter()
    circuit.failed()
    assert circuit.state() == "open"
    let_the_pause_pass(client)
    circuit.enter()
    circuit.succeeded()
    assert circuit.state() == "closed"
    circuit.enter()
    circuit.enter()


def test_an_open_circuit_takes_no_call_of_the_budget(client, circuit):
    budget = RedisBudget(client, FakeClock().clock(), "vendor", CallLimits(rate=5, monthly=None))
    gate = RedisGate("vendor", budget, circuit)
    gate.enter()
    for _ in range(3):
        gate.failed()
    with pytest.raises(CircuitOpenError):
        gate.enter()
    assert budget.remaining().in_window == 4


def test_a_probe_without_budget_leaves_the_probe_to_another(client, circuit):
    budget = RedisBudget(client, FakeClock().clock(), "vendor", CallLimits(rate=5, monthly=None))
    gate = RedisGate("vendor", budget, circuit)
    fail(circuit, 3)
    let_the_pause_pass(client)
    gate.freeze(30)
    with pytest.raises(BudgetWaitError):
        gate.enter()
    circuit.enter()


def test_without_redis_a_gate_is_shut_and_loses_no_answer():
    client = create_redis_client("redis://127.0.0.1:1/0")
    budget = RedisBudget(client, FakeClock().clock(), "vendor", CallLimits(rate=5, monthly=None))
    gate = RedisGate("vendor", budget, RedisCircuit(client, "vendor"))
    with pytest.raises(UnavailableError):
        gate.enter()
    gate.succeeded()
    gate.failed()
    gate.freeze(3)
