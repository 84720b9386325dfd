"""The one door to the database. It knows no table's meaning."""
