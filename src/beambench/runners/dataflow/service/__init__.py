"""The service seen from here: plain REST calls about one job."""
