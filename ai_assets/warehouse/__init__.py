"""What is read from the source tables (DWS and biz), and what is computed from it. Nothing here writes."""
