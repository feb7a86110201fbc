"""What is run when: due times decided, runs started once each, schedules made and looked after by people."""
