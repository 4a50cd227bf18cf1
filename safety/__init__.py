"""What protects the lineage: the contract, the gates, the manifest, the ledger and the archive."""
