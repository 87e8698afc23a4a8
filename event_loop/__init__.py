"""The event loop of a worker: one thread carries out many executions, each as a greenlet."""
