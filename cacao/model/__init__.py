"""The model of a CACAO 2.0 document: vocabulary, objects, variables, conditions."""
