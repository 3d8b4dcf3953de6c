from speakerd.cli import main

main()
