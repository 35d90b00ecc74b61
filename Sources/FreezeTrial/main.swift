import StillSystem

Process.exit(FreezeTrial.runProcess())
