"""Classification on a cluster: Ray Data and Spark run textgate over a corpus in Parquet."""
