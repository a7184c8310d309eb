"""Build multimodal knowledge-editing benchmarks for any base model."""
