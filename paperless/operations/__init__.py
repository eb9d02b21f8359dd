"""Setting a broker up: topics, access control, the same as Strimzi's manifests."""
