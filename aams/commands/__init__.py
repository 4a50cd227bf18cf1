"""The commands of `aams`, a module a group. Each offers `register`; heavy imports wait until a command runs."""
