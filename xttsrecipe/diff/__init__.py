"""What a change of recipes does to the models: the verb ``diff``.

``revisions`` and ``places`` find files in git and in folders, ``pairs`` which are compared with which, ``recipes``
makes plans of both sides, and ``plans`` says what differs between two plans. The findings are data (``changes``).
"""
