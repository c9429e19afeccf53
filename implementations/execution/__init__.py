"""How a built tower is run. Today it is called as it is; compiled and captured forms have their place here."""
