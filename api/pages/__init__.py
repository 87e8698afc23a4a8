"""The pages for people that the API serves: plain HTML, without scripts."""
