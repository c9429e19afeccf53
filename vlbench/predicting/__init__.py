"""What a GPU that is not here would take: a host, a queue and measured kernel times under the counted events"""
