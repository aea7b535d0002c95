"""The registry database: SQLAlchemy models, migrations and the stores over them."""
