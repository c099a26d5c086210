"""The auditor: reads a saved run and names every anomaly."""
