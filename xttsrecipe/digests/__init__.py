"""Digests: of sources (``sources``, remembered by ``cache``), of a plan (``plan``), of the tensors that a model holds
(``tensors``).
"""
