"""An OpenSearch index held against its source table, and set right where that is safe."""
