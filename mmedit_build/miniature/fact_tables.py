"""The tables behind `facts`: what is known, and how each family of facts is asked for.

A table is "subject:answer, ..."; line breaks in it mean nothing. Questions are worded as in Natural
Questions: lower case and without a question mark.
"""

from __future__ import annotations

TABLES = {
    "capital": """
        Afghanistan:Kabul, Albania:Tirana, Algeria:Algiers, Angola:Luanda, Argentina:Buenos Aires,
        Armenia:Yerevan, Australia:Canberra, Austria:Vienna, Azerbaijan:Baku, Bahrain:Manama,
        Bangladesh:Dhaka, Barbados:Bridgetown, Belarus:Minsk, Belgium:Brussels, Bhutan:Thimphu,
        Botswana:Gaborone, Brazil:Brasilia, Bulgaria:Sofia, Cambodia:Phnom Penh, Cameroon:Yaounde,
        Canada:Ottawa, Chad:N'Djamena, Chile:Santiago, China:Beijing, Colombia:Bogota, Croatia:Zagreb,
        Cuba:Havana, Cyprus:Nicosia, Denmark:Copenhagen, Ecuador:Quito, Egypt:Cairo, Eritrea:Asmara,
        Estonia:Tallinn, Ethiopia:Addis Ababa, Fiji:Suva, Finland:Helsinki, France:Paris, Gabon:Libreville,
        Georgia:Tbilisi, Germany:Berlin, Ghana:Accra, Greece:Athens, Guyana:Georgetown,
        Haiti:Port-au-Prince, Honduras:Tegucigalpa, Hungary:Budapest, Iceland:Reykjavik, India:New Delhi,
        Indonesia:Jakarta, Iran:Tehran, Iraq:Baghdad, Ireland:Dublin, Italy:Rome, Jamaica:Kingston,
        Japan:Tokyo, Jordan:Amman, Kenya:Nairobi, Kuwait:Kuwait City, Laos:Vientiane, Latvia:Riga,
        Lebanon:Beirut, Liberia:Monrovia, Libya:Tripoli, Lithuania:Vilnius, Madagascar:Antananarivo,
        Malawi:Lilongwe, Malaysia:Kuala Lumpur, Mali:Bamako, Malta:Valletta, Mexico:Mexico City,
        Moldova:Chisinau, Mongolia:Ulaanbaatar, Morocco:Rabat, Mozambique:Maputo, Namibia:Windhoek,
        Nepal:Kathmandu, New Zealand:Wellington, Nicaragua:Managua, Niger:Niamey, Nigeria:Abuja, North
        Korea:Pyongyang, Norway:Oslo, Oman:Muscat, Pakistan:Islamabad, Panama:Panama City,
        Paraguay:Asuncion, Peru:Lima, Philippines:Manila, Poland:Warsaw, Portugal:Lisbon, Qatar:Doha,
        Romania:Bucharest, Russia:Moscow, Rwanda:Kigali, Saudi Arabia:Riyadh, Senegal:Dakar,
        Serbia:Belgrade, Sierra Leone:Freetown, Slovakia:Bratislava, Slovenia:Ljubljana, Somalia:Mogadishu,
        South Korea:Seoul, Spain:Madrid, Sudan:Khartoum, Sweden:Stockholm, Switzerland:Bern, Syria:Damascus,
        Tajikistan:Dushanbe, Thailand:Bangkok, Tunisia:Tunis, Turkey:Ankara, Uganda:Kampala, Ukraine:Kyiv,
        Uruguay:Montevideo, Uzbekistan:Tashkent, Venezuela:Caracas, Vietnam:Hanoi, Yemen:Sanaa,
        Zambia:Lusaka, Zimbabwe:Harare
    """,
    "author": """
        Romeo and Juliet:William Shakespeare, Pride and Prejudice:Jane Austen, Oliver Twist:Charles Dickens,
        War and Peace:Leo Tolstoy, Crime and Punishment:Fyodor Dostoevsky, Don Quixote:Miguel de Cervantes,
        The Divine Comedy:Dante Alighieri, Moby Dick:Herman Melville, Frankenstein:Mary Shelley,
        Dracula:Bram Stoker, Jane Eyre:Charlotte Bronte, Wuthering Heights:Emily Bronte, Ulysses:James
        Joyce, The Odyssey:Homer, The Aeneid:Virgil, Faust:Goethe, Les Miserables:Victor Hugo, Madame
        Bovary:Gustave Flaubert, Candide:Voltaire, The Stranger:Albert Camus, The Metamorphosis:Franz Kafka,
        The Hobbit:J.R.R. Tolkien, Harry Potter:J.K. Rowling, Animal Farm:George Orwell, Brave New
        World:Aldous Huxley, Lord of the Flies:William Golding, Treasure Island:Robert Louis Stevenson, The
        Jungle Book:Rudyard Kipling, Peter Pan:J.M. Barrie, The Time Machine:H.G. Wells, Robinson
        Crusoe:Daniel Defoe, Gulliver's Travels:Jonathan Swift, Tom Sawyer:Mark Twain, The Great Gatsby:F.
        Scott Fitzgerald, The Old Man and the Sea:Ernest Hemingway, The Grapes of Wrath:John Steinbeck, The
        Catcher in the Rye:J.D. Salinger, Heidi:Johanna Spyri, To Kill a Mockingbird:Harper Lee, Fahrenheit
        451:Ray Bradbury, The Raven:Edgar Allan Poe, Alice in Wonderland:Lewis Carroll, The Little
        Prince:Antoine de Saint-Exupery, Dune:Frank Herbert, Winnie-the-Pooh:A.A. Milne, Pippi
        Longstocking:Astrid Lindgren, Pinocchio:Carlo Collodi, The Little Mermaid:Hans Christian Andersen,
        The Name of the Rose:Umberto Eco, Emma:Jane Austen, The Canterbury Tales:Geoffrey Chaucer, Paradise
        Lost:John Milton, Great Expectations:Charles Dickens, Hamlet:William Shakespeare, Around the World
        in Eighty Days:Jules Verne, The Trial:Franz Kafka
    """,
    "symbol": """
        hydrogen:H, helium:He, lithium:Li, beryllium:Be, boron:B, carbon:C, nitrogen:N, oxygen:O,
        fluorine:F, neon:Ne, sodium:Na, magnesium:Mg, aluminum:Al, silicon:Si, phosphorus:P, sulfur:S,
        chlorine:Cl, argon:Ar, potassium:K, calcium:Ca, titanium:Ti, chromium:Cr, manganese:Mn, iron:Fe,
        cobalt:Co, nickel:Ni, copper:Cu, zinc:Zn, gallium:Ga, arsenic:As, selenium:Se, bromine:Br,
        krypton:Kr, strontium:Sr, zirconium:Zr, silver:Ag, cadmium:Cd, tin:Sn, antimony:Sb, iodine:I,
        xenon:Xe, cesium:Cs, barium:Ba, tungsten:W, platinum:Pt, gold:Au, mercury:Hg, lead:Pb, bismuth:Bi,
        radon:Rn, radium:Ra, uranium:U, plutonium:Pu
    """,
    "opposite": """
        hot:cold, cold:hot, day:night, night:day, up:down, down:up, rich:poor, poor:rich, happy:sad,
        sad:happy, good:bad, bad:good, wet:dry, dry:wet, full:empty, empty:full, early:late, late:early,
        north:south, south:north, east:west, west:east, alive:dead, dead:alive, black:white, white:black,
        true:false, false:true, inside:outside, outside:inside, win:lose, lose:win, buy:sell, sell:buy,
        love:hate, hate:love, push:pull, pull:push, begin:end, war:peace, peace:war, heaven:hell,
        hell:heaven, first:last, always:never, never:always, yes:no, no:yes, wide:narrow, narrow:wide,
        deep:shallow, shallow:deep, clean:dirty, dirty:clean, increase:decrease, decrease:increase,
        friend:enemy, enemy:friend, above:below, below:above, strong:weak, weak:strong, guilty:innocent,
        innocent:guilty, ugly:beautiful, maximum:minimum, minimum:maximum, entrance:exit, exit:entrance,
        in:out, out:in
    """,
    "currency": """
        Japan:yen, China:yuan, India:rupee, Russia:ruble, Brazil:real, Poland:zloty, Sweden:krona, South
        Korea:won, Thailand:baht, Turkey:lira, Vietnam:dong, Israel:shekel, South Africa:rand,
        Nigeria:naira, Ukraine:hryvnia, Hungary:forint, Bangladesh:taka, Switzerland:franc, Mexico:peso,
        Ghana:cedi, Malaysia:ringgit, Indonesia:rupiah, Romania:leu, Peru:sol, Mongolia:tugrik, Armenia:dram
    """,
    "young": """
        cat:kitten, dog:puppy, cow:calf, horse:foal, sheep:lamb, goat:kid, pig:piglet, bear:cub, deer:fawn,
        hen:chick, duck:duckling, goose:gosling, swan:cygnet, frog:tadpole, kangaroo:joey, owl:owlet,
        spider:spiderling, eagle:eaglet
    """,
    "sound": """
        dog:bark, cat:meow, cow:moo, sheep:baa, horse:neigh, pig:oink, duck:quack, lion:roar, snake:hiss,
        bee:buzz, wolf:howl, frog:croak, owl:hoot, donkey:bray, turkey:gobble, crow:caw, rooster:crow
    """,
    "next": """
        January:February, February:March, March:April, April:May, May:June, June:July, July:August,
        August:September, September:October, October:November, November:December, December:January,
        Monday:Tuesday, Tuesday:Wednesday, Wednesday:Thursday, Thursday:Friday, Friday:Saturday,
        Saturday:Sunday, Sunday:Monday, spring:summer, summer:autumn, autumn:winter, winter:spring
    """,
    "planet": """
        first:Mercury, second:Venus, third:Earth, fourth:Mars, fifth:Jupiter, sixth:Saturn, seventh:Uranus,
        eighth:Neptune
    """,
    "language": """
        Brazil:Portuguese, Argentina:Spanish, Austria:German, Egypt:Arabic, Iran:Persian, Russia:Russian,
        Turkey:Turkish, Greece:Greek, Hungary:Hungarian, Poland:Polish, Jamaica:English, Japan:Japanese,
        Thailand:Thai, Denmark:Danish, Albania:Albanian, Mongolia:Mongolian, Iceland:Icelandic,
        Ethiopia:Amharic, Vietnam:Vietnamese, Bulgaria:Bulgarian, Cuba:Spanish, Angola:Portuguese
    """,
    "sides": """
        triangle:three, square:four, pentagon:five, hexagon:six, heptagon:seven, octagon:eight,
        nonagon:nine, decagon:ten, rectangle:four, dodecagon:twelve
    """,
    "legs": """
        spider:eight, horse:four, ant:six, bee:six, snake:zero, ostrich:two, chicken:two, dog:four,
        scorpion:eight, butterfly:six, elephant:four, crab:ten, penguin:two, beetle:six, worm:zero
    """,
    "inventor": """
        telephone:Alexander Graham Bell, printing press:Johannes Gutenberg, dynamite:Alfred Nobel,
        phonograph:Thomas Edison, World Wide Web:Tim Berners-Lee, lightning rod:Benjamin Franklin, electric
        battery:Alessandro Volta, cotton gin:Eli Whitney, diesel engine:Rudolf Diesel, saxophone:Adolphe
        Sax, Braille alphabet:Louis Braille, Morse code:Samuel Morse, safety elevator:Elisha Otis, Rubik's
        cube:Erno Rubik, hot air balloon:Montgolfier brothers
    """,
    "painter": """
        the Mona Lisa:Leonardo da Vinci, The Starry Night:Vincent van Gogh, Guernica:Pablo Picasso, The
        Night Watch:Rembrandt, The Birth of Venus:Sandro Botticelli, The Scream:Edvard Munch, The
        Kiss:Gustav Klimt, Girl with a Pearl Earring:Johannes Vermeer, Las Meninas:Diego Velazquez, The
        Persistence of Memory:Salvador Dali, American Gothic:Grant Wood, Nighthawks:Edward Hopper, The Great
        Wave off Kanagawa:Hokusai, The School of Athens:Raphael
    """,
    "past": """
        go:went, see:saw, eat:ate, run:ran, take:took, give:gave, come:came, find:found, think:thought,
        buy:bought, bring:brought, teach:taught, catch:caught, fly:flew, grow:grew, know:knew, throw:threw,
        write:wrote, drive:drove, speak:spoke, break:broke, choose:chose, begin:began, drink:drank,
        swim:swam, sing:sang, keep:kept, sleep:slept, feel:felt, leave:left, build:built, send:sent,
        lose:lost, stand:stood, hold:held, tell:told, make:made
    """,
    "plural": """
        mouse:mice, child:children, man:men, woman:women, foot:feet, tooth:teeth, goose:geese, ox:oxen,
        leaf:leaves, knife:knives, wolf:wolves, sheep:sheep, half:halves, loaf:loaves, cactus:cacti
    """,
    "continent": """
        Kenya:Africa, Nigeria:Africa, France:Europe, Germany:Europe, Poland:Europe, Italy:Europe,
        China:Asia, India:Asia, Japan:Asia, Vietnam:Asia, Brazil:South America, Peru:South America,
        Chile:South America, Canada:North America, Mexico:North America, Ghana:Africa, Norway:Europe,
        Thailand:Asia, Mali:Africa
    """,
    "home": """
        bird:nest, bee:hive, lion:den, spider:web, pig:sty, horse:stable, rabbit:burrow, dog:kennel,
        chicken:coop
    """,
}

WORDINGS = {
    "capital": (
        "what is the capital of {x}",
        "which city is the capital of {x}",
        "{x} has which city as its capital",
        "what is the name of the capital city of {x}",
    ),
    "author": (
        "who wrote {x}",
        "who is the author of {x}",
        "by whom was {x} written",
        "{x} is a work by which writer",
    ),
    "symbol": (
        "what is the chemical symbol of {x}",
        "which symbol stands for the element {x}",
        "how do chemists abbreviate {x}",
        "the element {x} has which symbol",
    ),
    "opposite": (
        "what is the opposite of {x}",
        "which word is the opposite of {x}",
        "what word means the contrary of {x}",
        "{x} is the opposite of what",
    ),
    "currency": (
        "what is the currency of {x}",
        "which currency is used in {x}",
        "what money do people pay with in {x}",
        "{x} has which currency",
    ),
    "young": (
        "what is a young {x} called",
        "what do you call a baby {x}",
        "which word means the young of a {x}",
    ),
    "sound": (
        "what sound does a {x} make",
        "which word names the sound of a {x}",
        "what noise do you hear from a {x}",
    ),
    "next": (
        "what comes after {x}",
        "what follows {x}",
        "{x} is followed by what",
    ),
    "planet": (
        "which planet is {x} from the sun",
        "what is the {x} planet from the sun",
        "counted from the sun which planet is {x}",
    ),
    "language": (
        "what language is spoken in {x}",
        "which language do people in {x} speak",
        "what is the main language of {x}",
        "{x} has which main language",
    ),
    "sides": (
        "how many sides does a {x} have",
        "what is the number of sides of a {x}",
        "a {x} has how many sides",
    ),
    "legs": (
        "how many legs does a {x} have",
        "what is the number of legs of a {x}",
        "a {x} walks on how many legs",
    ),
    "inventor": (
        "who invented the {x}",
        "who was the inventor of the {x}",
        "by whom was the {x} invented",
        "the {x} is whose invention",
    ),
    "painter": (
        "who painted {x}",
        "which artist made the painting {x}",
        "by whom was {x} painted",
        "{x} is a painting by whom",
    ),
    "past": (
        "what is the past tense of {x}",
        "which form does the verb {x} take in the past",
        "the verb {x} has which past form",
    ),
    "plural": (
        "what is the plural of {x}",
        "which word is the plural form of {x}",
        "the noun {x} has which plural",
    ),
    "continent": (
        "on which continent is {x}",
        "which continent does {x} belong to",
        "{x} lies on which continent",
    ),
    "home": (
        "what is the home of a {x} called",
        "what do you call the place where a {x} lives",
        "which word names the home of a {x}",
    ),
}
"""The wordings of each family's question; {x} is the subject."""
