"""Users, meters, zones, plans and their changes: imports, validation, versions, accounts, audit."""
