"""What every test may use: the real parts that the product stands on."""

pytest_plugins = [
    "tests.integration.simulator_fixture",
    "tests.integration.stack_fixture",
    "tests.integration.store_fixture",
    "tests.server_fixture",
    "tests.unit.jobfiles",
]
