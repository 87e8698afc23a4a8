"""The form of definitions as JSON Schema, for the document of the API and for editors.

What a schema refuses, the checks refuse; what stands in relation to something else (links, templates, references), only
the checks can tell.
"""
