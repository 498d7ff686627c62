"""What is decided: specs and facts become one ``BuildPlan``, and the machine is not touched."""
