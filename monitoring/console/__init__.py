"""The console: what is served, why, and the buttons to change it, as pages for a browser.

A process of its own. It reads the gateways' ``/metrics``, ``routing.yaml`` and its history, and
changes traffic as everybody else does, by editing the file.
"""
