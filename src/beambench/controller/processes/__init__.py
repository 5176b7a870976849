"""The process of a task: started, watched, ended with all that it started."""
