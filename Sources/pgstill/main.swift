print("pgstill")
