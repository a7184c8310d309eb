"""VisEdit and DualEdit: what leaves a decoder layer is moved towards what an edit says."""
