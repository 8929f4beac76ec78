"""Comparisons with other libraries; results/ keeps what they printed."""
