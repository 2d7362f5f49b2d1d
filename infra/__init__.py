"""What stands around the code in production: plans what an AWS account lacks, and makes it. Never packed."""
