"""Sends stored runs on to the databases that others read: InfluxDB and BigQuery."""
