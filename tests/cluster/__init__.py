"""The real services and the real Kafka client on a simulated network, brokers, disk delays and time, from one seed."""
