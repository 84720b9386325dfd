"""Workload schedules: windows in which a workload is wanted up."""
