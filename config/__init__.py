"""What an operator decides and what every layer needs: settings, errors, logs."""
