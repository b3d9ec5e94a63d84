"""What every test may use: the fixtures of the plugins below."""

pytest_plugins = ["tests.session", "tests.engine", "tests.valkey"]
