"""Words, phrases and plots of the built-in stories: data only, read by tinystories.data.stories.

A table's first line names its columns; the first column is what the row is called. A cell may hold a template.
Cells named in LISTS hold several values, of which a story draws one (`spot` from `place.spots`).
What belongs together stands in one row, so that stories obey it: rabbits eat carrots, kites are flown.
"""

# ruff: noqa: E501 (a table's row is one line)

from typing import NamedTuple

FEATURES = {
    "moral": 0.5,
    "twist": 0.4,
    "hint": 0.5,
    "bad": 0.2,
    "chat": 0.6,
    "conflict": 0.4,
    "rich": 0.4,
    "dressed": 0.3,
    "aged": 0.2,
    "pet": 0.25,
}
"""Share of the stories that have a feature; each plot uses those that suit it."""

PARAGRAPH_BREAKS = ("\n\n", "\n\n", "\n", " ")
"""What stands between the paragraphs of a story, as the real TinyStories vary it."""

PRONOUNS = {
    "he": {"him": "him", "his": "his", "himself": "himself"},
    "she": {"him": "her", "his": "her", "himself": "herself"},
}
"""Columns that follow from a column `he`; the masculine form names the case."""

IRREGULAR_VERBS = {
    "run": "ran running", "swim": "swam swimming", "swing": "swung swinging", "sing": "sang singing",
    "dig": "dug digging", "hop": "hopped hopping", "skip": "skipped skipping", "ride": "rode riding",
    "fly": "flew flying", "throw": "threw throwing", "spin": "spun spinning", "read": "read reading",
    "blow": "blew blowing", "ring": "rang ringing", "wear": "wore wearing", "slide": "slid sliding",
    "hit": "hit hitting", "hum": "hummed humming", "hug": "hugged hugging", "hold": "held holding",
    "light": "lit lighting", "sled": "sledded sledding", "wind": "wound winding", "feed": "fed feeding",
    "beat": "beat beating", "catch": "caught catching", "shake": "shook shaking",
}  # fmt: skip
"""Past and -ing form by base form."""

LISTS = {
    "look": "toy.looks", "play": "toy.plays", "spot": "place.spots", "sight": "place.sights",
    "act": "place.acts", "ingredient": "dish.ingredients", "mark": "item.looks", "stuff": "build.stuffs",
    "clue": "creature.clues", "game": "weather.games",
    "lift": "flyer.plays", "shape": "flyer.looks",
}  # fmt: skip
"""Fact that holds the values to draw from, by kind of fact."""

TABLES = {
    "child": """
name | kind | he
Lily | girl | she
Mia | girl | she
Anna | girl | she
Sara | girl | she
Emma | girl | she
Lucy | girl | she
Ella | girl | she
Zoe | girl | she
Nina | girl | she
Rosie | girl | she
Molly | girl | she
Eva | girl | she
Ruby | girl | she
Nora | girl | she
Tim | boy | he
Ben | boy | he
Max | boy | he
Sam | boy | he
Tom | boy | he
Jack | boy | he
Leo | boy | he
Noah | boy | he
Finn | boy | he
Luke | boy | he
Oscar | boy | he
Billy | boy | he
Theo | boy | he
Eli | boy | he""",
    "beast": """
name | kind | he | home | food
Benny | rabbit | he | burrow | carrots
Clover | rabbit | she | burrow | carrots
Bruno | bear | he | cave | honey
Bella | bear | she | cave | honey
Rusty | fox | he | den | berries
Ginger | fox | she | den | berries
Pip | mouse | he | hole | cheese
Mimi | mouse | she | hole | cheese
Chip | squirrel | he | tree | nuts
Hazel | squirrel | she | tree | nuts
Fluffy | cat | he | basket | milk
Kitty | cat | she | basket | milk
Rex | dog | he | kennel | bones
Daisy | dog | she | kennel | bones
Spike | hedgehog | he | pile of leaves | apples
Penny | hedgehog | she | pile of leaves | apples
Milo | monkey | he | treehouse | bananas
Coco | monkey | she | treehouse | bananas
Otto | otter | he | hut | fish
Shelly | otter | she | hut | fish
Digby | mole | he | tunnel | worms
Dot | mole | she | tunnel | worms
Bao | panda | he | bamboo hut | bamboo
Ling | panda | she | bamboo hut | bamboo""",
    "elder": """
kin | he
mom | she
dad | he
grandma | she
grandpa | he""",
    "trait": """
adjective | shows
brave | was not afraid of the dark
curious | asked a hundred questions every day
kind | always shared {his} snacks
shy | did not talk much
lazy | liked to sleep until noon
clever | could solve any puzzle
funny | made everyone laugh
careful | always looked before {he} jumped
cheerful | smiled at everyone {he} met
gentle | would never hurt even an ant
stubborn | never liked to give up
polite | always said please and thank you
quiet | liked to listen more than talk
helpful | set the table every evening
silly | liked to wear a sock on each ear
proud | thought that nobody was as good as {he} was
clumsy | often fell over {his} own feet
messy | never put {his} things away
noisy | sang from morning to night
impatient | did not like to wait
honest | never told a lie""",
    "place": """
name | at | to | spots | sights | acts
park | in the park | to the park | under the bench, behind the slide, next to the fountain, beside the gate, under the big oak tree | children on the swings, ducks on the pond, a man with a tiny dog, a lady with an ice cream | run, climb, swing, skip, slide
beach | at the beach | to the beach | under the red umbrella, behind the rocks, next to the lifeguard's chair, beside the little boat, in the dry sand | crabs in the sand, white birds over the waves, a ship far away, a sandcastle with a flag | swim, dig, splash, surf
forest | in the forest | to the forest | under a log, behind a mossy rock, beside the stream, in a hollow tree, next to the mushrooms | squirrels in the trees, red mushrooms, a deer behind a bush, tracks of a fox | hike, climb, explore, whistle
farm | on the farm | to the farm | behind the barn, under the cart, next to the well, in the hay, beside the fence | cows in the field, pigs in the mud, hens near the barn, a farmer on a tractor | dance, run, explore, jump
river | by the river | to the river | under the bridge, behind the tall grass, beside the boat, next to the willow tree, between two rocks | fish in the water, a frog on a leaf, a dragonfly, a family of ducks | swim, fish, splash, sing
meadow | in the meadow | to the meadow | behind the hill, under the apple tree, next to the stone wall, in the long grass, beside the gate | butterflies over the flowers, sheep on the hill, bees in the clover, a snail on a leaf | dance, run, jump, hop, sing
playground | at the playground | to the playground | under the slide, behind the swings, in the sandbox, next to the seesaw, beside the water tap | children in the sandbox, a boy on the seesaw, a girl with a scooter, pigeons on the path | swing, slide, climb, jump, spin
garden | in the garden | to the garden | behind the roses, under the bench, next to the shed, beside the pond, between the tomatoes | bees on the flowers, a robin on the fence, a snail on the path, a worm in the soil | dig, paint, hop, hum
lake | at the lake | to the lake | under the dock, behind the tent, beside the canoe, next to the campfire, in the reeds | swans on the water, a boat with a white sail, frogs on the stones, a man with a fishing rod | swim, fish, paint, splash
hill | on the hill | to the hill | behind the old mill, under the pine tree, next to the path, beside the big rock, in the tall grass | goats on the rocks, clouds like sheep, a hawk in the sky, the roofs of the town | hike, roll, sing, explore
town square | in the town square | to the town square | under the clock, behind the statue, next to the fountain, beside the flower stand, under the bench | pigeons on the roofs, a band with a drum, a lady with red balloons, a man selling nuts | dance, sing, skip, spin""",
    "toy": """
toy | looks | plays | made
ball | round, shiny, bouncy | kick it, bounce it, throw it, roll it | rubber
kite | big, pretty, light | fly it, chase it | paper
doll | soft, pretty, tiny | hug it, dress it, feed it | cloth
truck | heavy, loud, strong | push it, load it, roll it | metal
train | long, fast, shiny | push it, race it, pull it | wood
boat | little, smooth, fast | float it, sail it, race it | wood
drum | loud, round, big | hit it, play it, beat it | wood
robot | strange, shiny, tall | wind it, follow it, push it | metal
teddy bear | soft, furry, old | hug it, dress it, carry it | cloth
puppet | funny, floppy, soft | wave it, move it, dress it | cloth
wagon | big, strong, old | pull it, push it, load it | wood
book | thick, old, pretty | read it, open it, carry it | paper
trumpet | loud, old, big | play it, polish it, blow it | metal
whistle | loud, tiny, shiny | blow it, polish it, wear it | metal
marble | smooth, tiny, shiny | roll it, polish it, spin it | glass
lantern | bright, pretty, little | carry it, light it, swing it | glass
wand | magic, smooth, thin | wave it, swing it, spin it | wood
crown | tall, shiny, pretty | wear it, polish it, carry it | paper
mask | scary, funny, strange | wear it, paint it, carry it | paper
hoop | round, light, smooth | roll it, spin it, throw it | plastic
balloon | round, light, giant | hold it, follow it, chase it | rubber
plane | light, fast, little | throw it, fly it, chase it | paper
bucket | small, round, strong | fill it, carry it, swing it | plastic
bell | old, tiny, bright | ring it, polish it, shake it | metal
dinosaur | scary, funny, huge | feed it, chase it, march it | plastic
jump rope | long, strong, new | swing it, spin it, shake it | string""",
    "colour": """
colour
red
blue
green
yellow
purple
orange
pink
white
black
brown""",
    "item": """
item | looks | use | wear
hat | striped, floppy, woolly, tall | keep my head warm | on {person.his} head
scarf | striped, woolly, soft, long | keep my neck warm | around {person.his} neck
glove | leather, woolly, soft, thick | keep my hand warm | on {person.his} left hand
key | old, long, tiny, heavy | open my front door | in {person.his} pocket
ring | pretty, smooth, shiny, thin | remember my wedding day | on {person.his} finger
umbrella | striped, huge, spotted, old | stay dry in the rain | over {person.his} head
watch | round, tiny, old, heavy | know what time it is | on {person.his} arm
purse | leather, tiny, spotted, pretty | pay for my bread | in {person.his} bag
flute | old, wooden, long, thin | play my songs | to {person.his} lips
basket | round, wooden, deep, light | carry my eggs | on {person.his} arm
necklace | shiny, thin, pretty, long | look nice at the dance | around {person.his} neck
cane | wooden, crooked, strong, smooth | walk up the hill | in {person.his} hand
lamp | old, rusty, bright, heavy | find my way at night | in {person.his} hand
map | old, torn, huge, secret | find my way home | in {person.his} bag""",
    "person": """
person | he | place | work | gives | for | needs
baker | she | the bakery | bake bread | a warm loaf of bread | my breakfast | flour
farmer | he | the barn | feed the cows | a jug of milk | my breakfast | hay
sailor | he | the harbor | sail the ship | a pretty shell | my window | rope
painter | she | the studio | paint a picture | a tiny painting | my wall | brushes
fisherman | he | the dock | catch fish | a fresh fish | my dinner | worms
gardener | she | the greenhouse | water the roses | a red rose | my table | tall pots
shepherd | he | the hill | watch the sheep | a bag of wool | a warm scarf | dog food
cook | he | the kitchen | stir the soup | a wooden spoon | my soup | salt
teacher | she | the school | read stories | a picture book | the long evenings | chalk
carpenter | she | the sawmill | cut wood | a little stool | my tired feet | nails
clown | he | the circus | make people laugh | a bright balloon | my birthday | paint
miller | he | the mill | make flour | a bag of flour | a birthday cake | wheat""",
    "creature": """
animal | food | wrong | sound | move | home | clues | help
bird | seeds | cheese | chirped | flew | nest | two wings, a little beak, soft feathers | flew up high and looked around
kitten | milk | grass | meowed | ran | warm basket | soft paws, long whiskers, green eyes | climbed up and looked around
puppy | meat | lemons | barked | ran | kennel | a wagging tail, floppy ears, a wet nose | smelled the ground
rabbit | carrots | fish | squeaked | hopped | burrow | long ears, a fluffy tail, strong back legs | dug a deep hole
squirrel | nuts | soup | chattered | jumped | hollow tree | a bushy tail, tiny paws, sharp teeth | climbed to the top of the tree
duck | bread | nuts | quacked | waddled | pond | orange feet, a flat beak, oily feathers | swam across the water
goat | grass | meat | bleated | climbed | barn | two horns, a little beard, hard hooves | pulled with all its might
horse | hay | fish | neighed | galloped | stable | a long mane, four hooves, a long tail | ran as fast as the wind
cow | grass | eggs | mooed | walked | barn | two horns, a pink nose, a big round belly | pushed with its strong head
pig | corn | bones | oinked | trotted | sty | a curly tail, a flat nose, pink skin | sniffed the ground
hen | corn | cake | clucked | walked | coop | a red comb, two wings, yellow feet | scratched the soil with its feet
frog | flies | hay | croaked | hopped | pond | green skin, a long tongue, wet feet | jumped into the water
owl | mice | carrots | hooted | flew | old tree | big round eyes, quiet wings, sharp claws | watched with its big eyes
elephant | leaves | fish | trumpeted | walked | jungle | a long trunk, huge ears, gray skin | lifted it with its trunk
monkey | bananas | mud | chattered | swung | jungle | long arms, a long tail, clever hands | climbed up on its long arms
lion | meat | lettuce | roared | ran | den | a thick mane, sharp teeth, golden fur | roared so loudly that the ground shook
turtle | lettuce | candy | hissed | crawled | pond | a hard shell, short legs, a wrinkled neck | walked slowly but never stopped
sheep | grass | bones | bleated | trotted | meadow | woolly fur, thin legs, a black nose | kept everyone warm
mouse | cheese | sand | squeaked | ran | hole in the wall | tiny feet, round ears, a thin tail | crept through the tiny hole""",
    "dish": """
dish | some | ingredients | tool | taste
cake | a cake | flour, eggs, sugar, butter | oven | sweet
bread | some bread | flour, water, salt, seeds | oven | fresh
soup | some soup | carrots, potatoes, onions, salt | pot | warm
pizza | a pizza | cheese, tomatoes, flour, olives | oven | hot
pie | a pie | apples, flour, butter, cinnamon | oven | sweet
salad | a salad | lettuce, tomatoes, cucumbers, oil | bowl | fresh
jam | some jam | strawberries, sugar, lemons, plums | pot | sticky
pudding | a pudding | milk, eggs, sugar, vanilla | pot | creamy
stew | a stew | meat, beans, carrots, onions | pot | salty
lemonade | some lemonade | lemons, water, sugar, ice | jug | sour""",
    "fruit": """
fruit | one | taste
apples | apple | crunchy
pears | pear | juicy
plums | plum | sweet
peaches | peach | soft
lemons | lemon | sour
limes | lime | sour
oranges | orange | juicy
bananas | banana | soft
mangoes | mango | sweet
figs | fig | sweet
coconuts | coconut | hard""",
    "sum": """
has | gives | left
three | one | two
four | one | three
four | two | two
five | one | four
five | two | three
five | three | two
six | one | five
six | two | four
six | three | three
six | four | two
seven | two | five
seven | three | four
seven | four | three
eight | two | six
eight | three | five
eight | five | three
nine | two | seven
nine | four | five
nine | six | three
ten | three | seven
ten | four | six
ten | five | five
ten | six | four""",
    "plant": """
plant | colour | grows | use
sunflower | yellow | tall | feed the birds
pumpkin | orange | big | make a pie
tomato | red | round | make soup
carrot | orange | long | feed the rabbits
strawberry | red | sweet | eat it with sugar
bean plant | green | tall | make stew
rose | pink | pretty | give it to {Elder}
apple tree | green | tall | bake a pie
lettuce | green | fresh | make a salad""",
    "weather": """
weather | sky | wear | it | trouble | body | fix | games
rainy | Dark clouds hung over the roofs. | raincoat | it | The rain poured down | wet | a dry towel | splash, jump, dance
snowy | White flakes fell from the sky. | mittens | them | The snow got deeper and deeper | cold | a cup of hot cocoa | sled, skate, slide
windy | The leaves flew around the yard. | scarf | it | The wind blew harder and harder | cold | a warm blanket | run, dance, fly kites
hot | The sun burned in the sky. | hat | it | The sun got hotter and hotter | red | a glass of cold water | run, jump, climb
muddy | The road was full of puddles. | boots | them | The mud got deeper and deeper | dirty | a warm bath | splash, jump, explore
frosty | There was ice on the window. | gloves | them | The air got colder and colder | cold | a bowl of hot soup | skate, run, slide""",
    "noise": """
source | first | sound | from | clue | why
the old tree | the old tree | tap, tap, tap | from the window | The wind was blowing the branches of the old tree. | its branch hit the glass
the cat | the cat | scratch, scratch, scratch | from behind the door | {Elder} had forgotten to let the cat in. | it wanted to come in
the clock | the clock | tick, tock, tick, tock | from the wall | {Elder} had hung up a new clock that day. | it was counting the minutes
the water tap | the water tap | drip, drop, drip, drop | from the kitchen | {Elder} had not closed the tap all the way. | it was not closed
the mouse | a mouse | squeak, squeak, squeak | from under the bed | There were crumbs of cheese on the floor. | it had found some cheese
the owl | an owl | hoo, hoo, hoo | from the roof | Big round eyes had looked down from the roof. | it was singing to the moon
the puppy | the puppy | thump, thump, thump | from under the stairs | The puppy had not eaten its dinner. | its tail hit the floor
the frog | a frog | croak, croak, croak | from the bathroom | The bathroom window was open and the pond was near. | it was sitting in the bath
{Elder} | {Elder} | snore, snore, snore | from the sofa | {Elder} was very tired that evening. | even big people snore""",
    "nook": """
nook | inside
box | in the wooden box
basket | in the round basket
cupboard | in the kitchen cupboard
chest | in the old chest
closet | in the dark closet
bed | under the bed
rug | under the rug
shelf | on the high shelf
sofa | behind the sofa""",
    "broken": """
thing | how | fix | for
vase | It cracked into three pieces. | glue | fresh flowers
cup | The handle broke off. | glue | hot tea
plate | It broke in two. | glue | birthday cake
window | The glass broke. | new glass | looking at the birds
chair | One leg came off. | a hammer and nails | reading stories
clock | The hands stopped moving. | a tiny screw | knowing when to sleep
lamp | The light went out. | a new bulb | reading at night
teapot | The lid cracked. | glue | hot tea
radio | The music stopped. | a long wire | dancing in the kitchen""",
    "aside": """
aside
{sound_aside}
{smell_aside}
{greeting_aside}
{song_aside}
{snack_aside}
{sky_aside}""",
    "home_aside": """
aside
{sound_aside}
{song_aside}
{kitchen_aside}""",
    "critter": """
animal | sound | home
bird | chirped | nest
kitten | meowed | warm basket
puppy | barked | kennel
squirrel | chattered | hollow tree
duck | quacked | pond
frog | croaked | pond
goat | bleated | barn
cow | mooed | barn
horse | neighed | stable
hen | clucked | coop
owl | hooted | old tree""",
    "larder": """
larder
on the high shelf
in the kitchen cupboard
in the blue jar
in the wooden box
under the white cloth
in the oven""",
    "flyer": """
flyer | looks | plays
ball | round, shiny, bouncy | kick it, throw it, bounce it
kite | big, pretty, light | fly it, chase it
plane | light, fast, little | throw it, fly it
balloon | round, light, giant | throw it, chase it, hit it
hoop | round, light, smooth | throw it, spin it
paper bird | pretty, light, tiny | throw it, fly it""",
    "build": """
building | stuffs | end | crash
sandcastle | wet sand, shells, little stones, seaweed | put a flag on top | A big wave washed it away
treehouse | planks, nails, a ladder, a rope | hung a sign on the door | A storm shook the tree and it fell down
snowman | snow, two sticks, a carrot, a hat | gave it a smile | The sun came out and it melted
tower | blocks, boxes, cans, a spoon | put a star on top | The cat jumped on it and it fell down
birdhouse | planks, nails, paint, straw | put seeds in it | The wind blew it down
bridge | logs, stones, rope, mud | walked over it | The river rose and washed it away""",
    "gift": """
gift | because
a blue pencil | loved to draw
a woolly hat | always had cold ears
a story book | loved to read
a silver flute | loved music
a big magnet | loved science
a skipping rope | could not sit still
a box of paints | loved colors
a bag of seeds | loved to grow things
a chocolate cake | was always hungry
a little ship | wanted to be a sailor
a magnifying glass | looked at every bug
a red cape | wanted to be a hero
a pair of boots | jumped in every puddle
a soft pillow | was always sleepy
a cooking pot | loved to make soup
a telescope | watched the stars every night""",
    "landmark": """
landmark | prep
an old bridge | over
a tall tower | past
a red mailbox | past
a broken fence | past
a dark tunnel | through
a field of corn | through
a stone well | past
a muddy path | along
a windy hill | over
a white church | past
a little stream | over
an empty barn | past
a row of pine trees | past
a wooden gate | through
a huge rock | around
a quiet pond | around""",
    "secret": """
secret
green banana
sleepy tiger
seven spoons
purple moon
dancing potato
hot snowball
flying pancake
golden button
wobbly jelly
three little stars
rainy Sunday
monster socks
silver fish
chocolate river
sneezing dragon
upside down cake""",
    "skill": """
skill | fall | tip | show
ride a bike | fell into the grass | look ahead and not at the ground | rode all the way down the street
swim | swallowed a lot of water | kick with both legs | swam from one side to the other
whistle | blew only air | make your lips small and round | whistled a whole song
climb the rope | slid back down | hold on tight and look up | touched the very top
bake bread | burned the crust | watch the clock | made a golden loaf
catch a ball | dropped it | keep your eyes on it | caught ten in a row
dance | stepped on everyone's toes | count to four | danced like a leaf in the wind
juggle | dropped them all | start with only two | kept three balls in the air
sing high songs | sounded like a rusty door | take a deep breath | sang like a bird""",
    "day": """
day | next
Monday | Tuesday
Tuesday | Wednesday
Wednesday | Thursday
Thursday | Friday
Friday | Saturday
Saturday | Sunday
Sunday | Monday""",
    "chore": """
chore | past
feed the fish | fed the fish
water the plants | watered the plants
close the gate | closed the gate
bring back a shell | brought back a shell
visit the baker | visited the baker
set the table | set the table
wash the dishes | washed the dishes
pick up the mail | picked up the mail
buy some milk | bought some milk
make the bed | made the bed
sweep the floor | swept the floor
fold the socks | folded the socks
bring in the wood | brought in the wood
feed the hens | fed the hens
be home before dark | came home before dark""",
    "treat": """
treat | ache
cookies | tummy
pancakes | tummy
candies | teeth
ice cream | tummy
donuts | tummy
honey cakes | teeth
muffins | tummy
cherries | tummy
grapes | tummy
chocolates | teeth""",
    "clothes": """
clothes
sweater
jacket
cap
shirt
coat
vest""",
    "dream": """
land | folk | sight | thing
a land of candy | gingerbread men | rivers of chocolate | a lollipop
the moon | tiny moon people | silver sand | a moon stone
the bottom of the sea | singing mermaids | castles of coral | a pearl
a castle in the clouds | friendly giants | stairs of light | a white feather
a dragon's cave | baby dragons | piles of gold | a gold coin""",
}
"""Rows of things that belong together."""

PHRASES = {
    "opening": "{introduction} {early}",
    "introduction": """
        [Once upon a time, there was|Once there was|There once was|Long ago, there was] a {trait} [little
        |young |]{hero.kind} [named|called] {hero}. [{who}|] |[Once upon a time|Long ago|Once], {dwelling},
        there lived a {trait} {hero.kind} [named|called] {hero}. [{who}|] |{Hero} was a {trait} [little
        |young |]{hero.kind}. [{who}|] [{lives}|] |{Hero} was a {hero.kind} who {trait.shows}. Everyone said
        that {he} was [very |]{trait}. [{lives}|] |This is [the|a] story [of|about] {hero}, a {trait}
        [little |]{hero.kind}. [{who}|] [{lives}|] |There was a [little |young |]{hero.kind} [named|called]
        {hero} who was [very|always] {trait}. [{who}|] |In {dwelling.place} lived {hero}, a {trait}
        {hero.kind}. [{who}|]
    """,
    "early": """
        [dressed? {He} [always|often] wore a {colour4} {clothes}[ that {his} {elder} had made| from {his}
        {elder}|]. |] [aged? {Hero} was {sum4} years old[|].|] [pet? A {critter4} lived in a
        {critter4.home} [nearby|close by]. It [often |always |]{critter4.sound} when it saw {him}.|]
    """,
    "late": """
        [bad? |[dressed? When the day was over, {his}
        {colour4} {clothes} hung [by the bed|on the chair]. |pet? Even the {critter4} {critter4.sound} [as
        if it knew|in its {critter4.home}].|]]
    """,
    "place_asides": "[rich? {sight_aside} {aside}|{sight_aside}|{aside}|]",
    "walk_asides": "[rich? {aside} {aside2}|{aside}|]",
    "home_asides": "[rich? {home_aside} {home_aside2}|{home_aside}|]",
    "sight_aside": '{Hero} stopped to look at {sight3}.|"Look! {Sight3}!" said {hero}.',
    "sound_aside": "[Far away|Somewhere|Nearby|Not far away], a {critter} {critter.sound}.",
    "smell_aside": "The air smelled of [flowers|{fruit4}|{fruit4} and {fruit5}].",
    "greeting_aside": "The {person4} [waved|smiled|said hello] on the way to {person4.place}.",
    "song_aside": """
        {Hero} [[sang|hummed] a song|[thought of|remembered] a [rhyme|story]] about a {colour5} {creature5}.
    """,
    "kitchen_aside": "Next door, somebody was making {dish3.some}[ for dinner|].",
    "snack_aside": "{Hero} ate a {fruit6.taste} {fruit6.one}[ from {his} bag| and felt strong|].",
    "sky_aside": "A {colour6} [bird|butterfly] flew [by|past].",
    "who": "{He} {trait.shows}.|{Hero} {trait.shows}.|{He} was so {trait} that {he} {trait.shows}.",
    "lives": """
        {He} lived {dwelling} with {his} {elder}.|{Hero} lived {dwelling}.|[animal? {He}
        liked {hero.food} best of all.|]
    """,
    "dwelling": "in {dwelling.place}",
    "dwelling.place": """
        [animal? a [cosy|small|warm] {hero.home}[ by the river| under the hill| near a field|] |a
        [small|quiet|busy] [town|village]|a little house [by the sea|near the woods|on a hill]|a big city]
    """,
    "loves_act": """
        [{He}|{Hero}] [loved|liked] to {act} [every day|all day long|more than anything|in the sun|with
        {his} {elder}]. |{His} favorite thing was to {act}.|More than anything else, {he} loved to {act}.
        |When {he} was happy, {he} [always|often] wanted to {act}.
    """,
    "oneday": """
        One [sunny |warm |bright |cool |quiet |fine |][day|morning|afternoon] |One [sunny |fine
        |][Saturday|Sunday|Monday|Friday] [morning|afternoon]
    """,
    "outing": "{departure} {place_asides}",
    "departure": """
        {oneday}, {hero} went {place.to} to {act}. [{scene}|] |{oneday}, {his} {elder} took {him}
        {place.to}. [{scene}|] {Hero} [began|started] to {act}. |{oneday}, it was time to go {place.to}.
        {Hero} could not wait to {act}. [{scene}|] |{oneday}, {hero} was {act.ing} {place.at}. [{scene}|]
    """,
    "scene": """
        There were {sight}.|{He} saw {sight} and {sight2}.|{He} waved at {sight}.|The air was [warm|fresh]
        and {he} saw {sight}. |{weather_line}
    """,
    "weather_line": """
        The sun was [warm|shining] and the sky was blue.|A soft wind blew.|There was not a cloud in the sky.
        |White clouds moved slowly above {him}.|It was a [perfect|lovely] day to {act}.
    """,
    "hands": "[animal? paws|hands]",
    "sad": """
        {Hero} felt [very |so |]sad.|{Hero} wanted to cry.|A [big |]tear rolled down {his} face.|{His} heart
        felt heavy. |{Hero} sat down and cried.|{Hero} was [very |so |]upset.
    """,
    "glad": """
        {Hero} [was|felt] [very |so |]happy.|{Hero} jumped up and down.|{Hero} clapped {his} {hands}.
        |{Hero} smiled [a big smile|from ear to ear].|{Hero} laughed [out loud|with joy].
    """,
    "scared": """
        {Hero} was [very |so |]scared.|{His} heart beat fast.|{Hero} began to shake.|{Hero} could not
        move.|{His} legs felt weak.
    """,
    "think": """
        {Hero} thought [and thought|for a long time|very hard]. Then {he} had [an|a good|a clever] idea.
        |{Hero} closed {his} eyes and thought. [Soon|At last] {he} knew what to do.|Then {hero} had [an
        idea|a plan].
    """,
    "thanks": """
        "Thank you[ so much|, thank you|], {friend}!" {hero} said.|{Hero} thanked {friend} [again and
        again|with a hug]. |"You are [the best|so kind]," {hero} told {friend}.
    """,
    "hug": """
        {His} {elder} gave {him} a [big|warm|long] hug.|{His} {elder} hugged {him} tight. |{His} {elder}
        smiled and kissed {him} on the [nose|head].
    """,
    "friends_end": """
        {Hero} and {friend} played together until [the sun went down|it was dark|dinner time]. |They
        [laughed|smiled] and walked home [together|side by side].|{Hero} was glad to have a friend like
        {friend}. |{Hero} and {friend} were [still |]the best of friends.
    """,
    "new_friends_end": """
        From that day on, {hero} and {friend} were [best|good|the best of] friends.|And so {hero} and
        {friend} became friends. |{Hero} and {friend} met again the next day[ to {act}|]. They were friends
        now.
    """,
    "sleep_end": """
        That night, {hero} [slept well|had sweet dreams|fell asleep with a smile]. |When the stars came out,
        {hero} was [already |]fast asleep.|At bedtime, {hero} told {his} {elder} all about it.
    """,
    "act_end": """
        Then {he} [{act.past}|went back to {act}] until [the sun went down|it was time to go home]. |After
        that, {hero} {act.past} [with a light heart|all afternoon|happily]. |And the next day, {he} went
        {place.to} to {act} again.
    """,
    "moral_word": """
        {Hero} learned that|From then on, {hero} knew that|{Hero} never forgot that|That day {hero} learned
        that
    """,
    "meet": """
        {Hero} [met|saw] {friend}, a {trait2} [little |young |]{friend.kind}. |[Soon|Then|Just then] a
        {friend.kind} named {friend} [came by|came along|walked up to {him}].
    """,
    "whats_wrong": """
        "[What is wrong|Why are you so sad|What is the matter|Why are you crying]?" {friend} asked. |"You
        look sad," said {friend}. "What happened?"
    """,
    "toy_full": "{look} {colour} {toy}",
}
"""Ways to say what many plots have to say; expanded anew at each use."""


class Plot(NamedTuple):
    """The skeleton of many stories."""

    noun: str
    """Fact that is the story's noun."""
    verb: str
    """Fact that is the story's verb."""
    adjective: str
    """Fact that is the story's adjective."""
    text: str
    """Template of the whole story."""


PLOTS = {
    "lost toy": Plot(
        "toy",
        "act",
        "look",
        """
{opening} [{He} had|{His} {elder} had given {him}] a {toy_full} [made of {toy.made}|]. {loves_act}

{outing} {He} [had the {toy} with {him}|took the {toy} along], and {he} put it down {spot}. [hint? "Do not
forget it there," said {his} {elder}.|"You can wait here," {he} told it.|] Then {he} {act.past} [and
{act.past}|until {he} was tired|for hours] and forgot all about the {toy}.

[That evening|At bedtime|Back home], {hero} wanted to {play}. But where was the {toy}? {He} looked
{nook.inside}. It was not there. {He} looked {nook2.inside}. It was not there [either|]. {sad} [chat? "Where
did you put it?" asked {his} {elder}. "{place.At}, {spot}," {hero} [said|remembered]. "I left it there!"
|Then {he} remembered. It was still {place.at}, {spot}!]

[The next morning|Early the next day], {he} ran back {place.to}. [bad? {He} looked {spot}, but [it was
gone|there was nothing]. [Someone had taken it.|The wind had carried it away.] {Hero} never saw the {colour}
{toy} again. [moral? {moral_word} {he} should take care of {his} things.|{sad}] |twist? There was
{friend}, a {friend.kind}, sitting {spot}. "I found a {toy}," {friend.he} said. "But tell me, what color is
yours?" "It is {colour}, and it is {look}," said {hero}. "Then it is yours!" {friend} gave it to {him}.
{thanks} {new_friends_end} |{He} looked {spot}, and there it was, as {look} and {colour} as ever. {glad}
{act_end} [moral? {moral_word} {he} should take care of {his} things.|]] {late}
""",
    ),
    "moved thing": Plot(
        "toy",
        "play",
        "trait",
        """
{opening} {He} had a {toy_full} that {he} loved[ very much|]. [{Hero}|{He}] liked to {play} with {friend},
the {friend.kind} next door.

{oneday}, {hero} put the {toy} {nook.inside} and went [out to the yard|to the kitchen to eat|to wash {his}
{hands}]. {home_asides} While {he} was away, {friend} [came in|took it out to {play}]. [hint? {Friend} liked
to play tricks.|] When {friend.he} was done, {friend.he} put the {toy} {nook2.inside} [and went home|and
left]. {Hero} did not see [it|that|any of this].

[Soon|After a while|Later], {hero} came back. {He} wanted to {play}, so {he} looked {nook.inside}, where
{he} had left it. It was [empty|not there]! ["My {toy} is gone!" {he} [cried|called].|{sad}] [{He} looked
{nook3.inside}, but it was not there.|] [conflict? {He} ran to {friend}'s house. "Did you take my {colour}
{toy}?" {he} [shouted|asked]. {Friend} turned red. "I only moved it," {friend.he} said. "It is
{nook2.inside}." |"{Elder}, have you seen my {toy}?" {he} asked. "Ask {friend}," said {his} {elder}.
"{Friend.he} was here." So {hero} asked. "Oh! I put it {nook2.inside}," said {friend}.]

They looked {nook2.inside}, and there it was. [moral? "Next time I will ask [first|before I take it]," said
{friend}. [{glad}|{friends_end}] |bad? But {hero} was still angry, and they did not [speak|play] for a whole
week.|"Now let us {play} together," said {hero}. [{glad}|{friends_end}]] {late}
""",
    ),
    "find the owner": Plot(
        "item",
        "act",
        "mark",
        """
{opening} {loves_act}

{outing} {Spot}, {he} [found|saw] a {mark} {item}. It was {colour}. "Who lost this?" {he} [wondered|said].
"I must find the owner."

First {he} [asked|went to] the {person2}. "Is this your {item}?" The {person2} [shook {person2.his}
head|looked at it]. "No, mine is {colour2}," {person2.he} said. Then {hero} [asked|went to] the {person3}.
"[Not mine|I never had one], but I saw the {person} looking for something," said the {person3}. [chat?
"Thank you! You are very kind," said {hero}.|]

So {hero} went to {person.place}. The {person} was [sad|looking under the table|very upset]. "I lost my
{item}," {person.he} said. "I need it to {item.use}." "What does it look like?" asked {hero}. "It is {mark}
and {colour}." "Then here it is!" {He} [gave it back|handed it to {person.him}]. [bad? But it was
[dirty|wet] now, and the {person} was not happy. "Still, you are an honest {hero.kind}," {person.he} said.
|The {person} put it {item.wear} and smiled. [twist? "Take {person.gives}," {person.he} said.
{Hero} [took it home to|shared it with] {his} {elder}. |"[You are very honest|Bless you, little one],"
{person.he} said.]] [moral? {moral_word} it feels good to give back what is not yours.|bad? |{act_end}]
{late}
""",
    ),
    "right gifts": Plot(
        "gift",
        "act",
        "trait",
        """
{opening} {loves_act} {He} had [three|3] good friends. [{Friend} {gift.because}. {Friend2} {gift2.because}.
{Friend3} {gift3.because}. |{Friend3} {gift3.because}, {friend} {gift.because}, and {friend2}
{gift2.because}. |{Friend2} {gift2.because}. {Friend} was different: {friend.he} {gift.because}. And
{friend3} {gift3.because}.]

[Winter was near|It was almost the new year|There was going to be a party], and {hero} wanted to give each
of them a present. {He} [saved {his} coins in a jar|worked hard for the {person}] and went to the
[shop|market|store]. {walk_asides} There {he} [saw|found] {gift2}, {gift3} and {gift}. [hint? "Do not mix
them up," said {his} {elder}.|"What good luck!" {he} said.|]

{oneday}, the friends came to {hero}'s house [to {act}|after they {act.past} {place.at}]. [twist? Oh no! The
names had fallen off the boxes. But {hero} knew {his} friends well.|{Hero} had the presents behind {his}
back.] [{He} gave {friend2} {gift2}, {friend} {gift} and {friend3} {gift3}. |{Friend} got {gift}. {Friend3}
got {gift3}. And {friend2} got {gift2}.|{He} gave {friend3} {gift3}. Then {he} gave {friend} {gift}, and
last {friend2} {gift2}.] [chat? "How did you know?" asked {friend}. "Because I know you well," said
{hero}.|Each of them had just what they wanted.]

[bad? But nobody had [a|brought a] present for {hero}. {sad} {hug} |Then they gave {hero} a present too. It
was a {look} {toy}, and it was {colour}, the color {he} liked best. {glad}] [moral? {moral_word} the best
presents are the ones you think about.|bad? |They all [laughed and sang|ate cake|danced] until late.] {late}
""",
    ),
    "way home": Plot(
        "creature",
        "act",
        "trait",
        """
{opening} {loves_act} [{oneday}|One day], {he} wanted to visit {his} {elder2}, who lived far away.

"[Listen well|Remember the way]," said {his} {elder}. "First go {landmark.prep} {landmark}. Then go
{landmark2.prep} {landmark2}. Last, go {landmark3.prep} {landmark3}." So {hero} went {landmark.prep}
{landmark}. {He} went {landmark2.prep} {landmark2}. [On the way, {he} stopped to {act}.|] {walk_asides} And
{he} went {landmark3.prep} {landmark3}, and there was {his} {elder2}'s house. {glad}

They [ate {fruit}|drank tea|{act.past} together] and talked all [day|afternoon]. But then it got
[dark|late], and {hero} had to go home. [conflict? Fog came up and {he} got lost. {scared}|"Which way do I
go?" {he} [asked|said].] [chat? "Just go back the way you came," said {his} {elder2}.|{think}] [twist? A
{creature} with {clue} [came by|stepped out of the dark]. It {creature.sound} and {creature.move} in front
of {him}, as if it knew the way. |A {creature} {creature.sound} at {him} from a [tree|field], but {he} did
not stop.]

First {he} went {landmark3.prep} {landmark3}. Then {he} went {landmark2.prep} {landmark2}. Last, {he} went
{landmark.prep} {landmark}. And there was {his} own [door|house]! [bad? But it was so late that {his}
{elder} was angry, and {hero} got no dinner.|{hug}] [moral? {moral_word} the way back is the way there
turned around.|bad? |{sleep_end}] {late}
""",
    ),
    "trade": Plot(
        "toy",
        "play",
        "look",
        """
{opening} {He} had a {toy_full}. {He} had [played with it|owned it] so long that {he} did not want to {play}
any more. What {he} really wanted was {person3.gives}.

{oneday}, {he} took the {toy} and went out. {walk_asides} Soon {he} met the {person}. "[What a|That is a]
{look} {toy}!" said the {person}. "I will give you {person.gives} for it." {Hero} [agreed|nodded], and they
traded. [Next|Then|Later] {he} met the {person2}, who [looked sad|was sitting by the road]. "I have always
wanted {person.gives}," said the {person2}. "[Take|I can give you] {person2.gives} for it." [So they
traded.|{Hero} thought about it and said yes.]

[At last|In the end], {hero} came to {person3.place}. [conflict? The {person3} did not want to trade at
first. "Please!" said {hero}.|] "Oh, {person2.gives}! That is just what I need for {person2.for}," said the
{person3}. And {person3.he} gave {him} {person3.gives}. {glad}

[At home|That evening], {his} {elder} asked, "Where is your {colour} {toy}?" "I gave the {toy} for
{person.gives}," {hero} said. "I gave that for {person2.gives}. And for that I got {person3.gives}!" [bad?
But then {he} saw another {hero.kind} [playing with|holding] the {toy}, and {he} missed it. {sad} |twist?
{His} {elder} laughed. "The {person} came by today. {Person.he} said that you may still come and
{play}."|"[What a|You are a] clever trader," said {his} {elder}.] [moral? {moral_word} one thing can turn
into another if you talk to people.|] {late}
""",
    ),
    "promise": Plot(
        "place",
        "act",
        "trait",
        """
{opening} {loves_act} {oneday}, {his} {elder} had to go [out|to town|away]. "Promise me that you will
{chore}," said {his} {elder}. "I promise," said {hero}.

Then {friend} [came to the door|knocked on the window]. "Let us go {place.to} and {act}!" {friend.he} said.
So they went. [{scene}|] {place_asides} They [had so much fun|{act.past} so much] that {hero} [forgot the
time|did not think of home]. [hint? But something was not right. What was it?|]

[conflict? "It is late," said {hero} at last. "No, stay!" said {friend}. "[Only babies go home|It is too
early]!" |] [bad? When {he} came home, it was [dark|too late]. {He} had not done what {he} promised. "You
promised to {chore}," said {his} {elder}. "I am sorry," {hero} [said|cried]. {sad} [moral? {moral_word} a
promise is a promise.|The next day, {he} {chore.past} before breakfast.] |Suddenly {he} remembered
{his} promise. "I must {chore}!" {he} [cried|said]. {He} ran [all the way home|as fast as {he} could].
[twist? {Friend} ran too. "I will help you," {friend.he} said.|] {He} {chore.past} just before {his} {elder}
came back. "Did you {chore}?" asked {his} {elder}. "Yes, I {chore.past}," said {hero}. {hug} [moral?
{moral_word} it is good to keep a promise.|bad? |"Now you can go and {act}," said {his} {elder}.]] {late}
""",
    ),
    "broken thing": Plot(
        "broken",
        "play",
        "trait",
        """
{opening} {oneday}, {hero} was [alone in the house|bored]. {home_asides} {He} took {his} {colour} {toy} and
began to {play} in the living room. [hint? "Not in the house," {his} {elder} always said.|{Elder} was
[asleep|in the garden].]

[Crash|Bang|Oops]! The {toy} hit {his} {elder}'s [favorite |old |]{broken}. {broken.how} It was the one for
{broken.for}. {scared} [conflict? {He} hid the {broken} {nook.inside}. [Maybe nobody would see it.|"Nobody
must know," {he} thought.] |{He} wanted to run away, but {he} did not.]

[Soon|Then] {his} {elder} came in. "[Where is|What happened to] my {broken}?" {elder.he} asked. [conflict?
"[The {creature} did it|I do not know]," said {hero}. But {his} face was red, and {his} eyes went to the
place {nook.inside}. {Elder} waited. At last {hero} began to cry. "It was me," {he} said. "I wanted to
{play}." |"It was me," said {hero}. "I wanted to {play}, and the {toy} hit it. I am so sorry."]

[bad? {Elder} was [angry|very sad]. {Elder.he} took the {toy} away for a week. {sad} |"Thank you for telling
the truth," said {his} {elder}. [Together they|They] got {broken.fix} and fixed the {broken}. [twist? "When
I was little, I broke it too," {elder.he} [whispered|laughed].|Soon it was as good as new.]] [moral?
{moral_word} it is [best|always better] to tell the truth.|After that, {he} only wanted to {play} outside.]
{late}
""",
    ),
    "cooking": Plot(
        "dish",
        "act",
        "trait",
        """
{opening} {loves_act} {oneday}, {hero} wanted to make {dish.some} for {his} {elder}[, who had been {act.ing}
all day|]. For that {he} needed {ingredient}, {ingredient2} and {ingredient3}.

{He} [looked in the kitchen|opened the cupboard]. {He} found {ingredient3}, and {he} found {ingredient}. But
{he} could not find any {ingredient2}! {sad} [chat? "I will ask {friend}," {he} said.|{think}] {Friend}, the
{friend.kind} next door, [had|gave {him}] some {ingredient2}. [conflict? "But you never share with me," said
{friend}. "I am sorry," said {hero}. "You can eat with us."|"Here you are," said {friend}. "Can I help?"]

[They mixed everything|Together they worked] and put it in the {dish.tool}. [twist? But {friend} took the
salt for the sugar! They had to start all over again.|hint? It [smelled|looked] so good that a {creature}
{creature.sound} at the door.|] {home_asides} [When it was ready|Then|At last], {his} {elder} came in. "What
smells so good?" {elder.he} asked. "{Dish.some}!" said {hero}. "We made it from {ingredient}, {ingredient2}
and {ingredient3}."

[bad? But when {Elder} took a bite, it was [burned|too salty]. Nobody could eat it. They ate {fruit}
instead. |They all ate, and it was {dish.taste}. "It is the best {dish} in the world," said {his} {elder}.]
[moral? {moral_word} food tastes best when you share it.|bad? |Then they {act.past} together
{place.at}.|{glad}] {late}
""",
    ),
    "hungry animal": Plot(
        "creature",
        "act",
        "trait",
        """
{opening} {loves_act} {outing} [Suddenly|Then] {he} heard a [small|strange|sad] sound. [hint? What could it
be? It had {clue}.|] It was a [little|lost|hungry] {creature}. It [looked up|{creature.sound}] at {him} with
sad eyes.

"Are you hungry?" asked {hero}. {He} gave it some {creature.wrong}. But the {creature} did not eat [it|any
of it]. A {creature} does not like {creature.wrong}. [chat? "What does a {creature} eat?" {he} asked {his}
{elder}. "It eats {creature.food}," said {Elder}.|{think}] {He} [found|ran home and got] some
{creature.food}. The {creature} ate it all [up|and {creature.sound} happily].

[After that|When it was full], it {creature.move} [back |]to its {creature.home}. [Every day|The next day|A
week later], {hero} went {place.to} to {act} and brought some {creature.food}.

[bad? One day the {creature} was not there any more. {Hero} waited until dark, but it did not come. {sad}
|twist? Then one day {hero} [lost {his} {colour} {toy}|got lost]. The {creature} came to help. It
{creature.help}. Soon [all was well again|everything was fine]. "You did not forget me," said {hero}.|The
{creature} was always happy to see {him}. [It {creature.sound} when {he} came near.|They became good
friends.]] [moral? {moral_word} a small kindness is never lost.|bad? |{glad}] {late}
""",
    ),
    "learning": Plot(
        "day",
        "skill",
        "trait",
        """
{opening} There was one thing {he} could not do. {He} could not {skill}. All the other [animal?
animals|children] could. {sad}

On {day}, {hero} tried to {skill}, but {he} {skill.fall}. On {day.next}, {he} tried again, and again {he}
{skill.fall}. [conflict? "{Hero} cannot {skill}!" laughed {friend}. That hurt.|"I will never learn it," {he}
[said|sighed].] [chat? "Do not give up," said {his} {elder}. "Remember: {skill.tip}."|{His} {elder} showed
{him} how. "The trick is: {skill.tip}," {elder.he} said.]

{Hero} practiced [every day|in the yard|before breakfast and after dinner]. {He} said to {himself},
"{Skill.tip}." [bad? But when the big day came, {he} {skill.fall} in front of everyone. "It does not
matter," said {his} {elder}. "You are still trying." |Then one [fine |]day it worked! {He} {skill.show}.
{glad} [twist? Even {friend} [clapped|stared]. "Can you teach me?" {friend.he} asked. "[Sure|Of course],"
said {hero}. "{Skill.tip}." |Everyone clapped. "I can {skill}[aged? , and I am only {sum4} years old|]!"
{he} shouted.]] [moral? {moral_word} you get better if you keep trying.|bad? |{sleep_end}] {late}
""",
    ),
    "noise in the night": Plot(
        "noise.first",
        "act",
        "trait",
        """
{opening} {loves_act} One [day|evening], {he} came home tired from {act.ing}. {home_asides} [hint?
{noise.clue}|] {He} ate {his} dinner and went to bed.

In the middle of the night, {hero} woke up. {Noise.sound}! The sound came {noise.from}. {scared} ["A
monster!" {he} whispered.|"Is it a ghost?" {he} thought.|"Who is there?" {he} called. Nobody answered.]
{Noise.sound}! There it was again. [conflict? {He} pulled the blanket over {his} head. But {he} could not
sleep.|{He} held {his} {colour} {toy} tight.]

[chat? "{Elder}!" {he} called. "There is a monster!" {His} {elder} came [with a lamp|in slippers|at once].
"[Let us go and look|Monsters are not real]," {elder.he} said. |At last {he} was brave enough to get up.
{He} took a lamp and walked slowly, step by step.] The sound came {noise.from}. And what was it? It was only
{noise.first}: {noise.why}. {Noise.sound}! {Hero} began to laugh.

[bad? But {he} still could not sleep, and the next day {he} was too tired to {act}.|twist? "Good night,
monster," {he} said to {noise}, and went back to bed.|Then {he} [slept|was quiet] until morning.] [moral?
{moral_word} things are less scary when you look at them.|bad? |The next morning, {he} told {friend} about
{noise} and they laughed.] {late}
""",
    ),
    "who is tallest": Plot(
        "fruit",
        "act",
        "trait",
        """
{opening} {loves_act} {outing} {Friend} and {friend2} came too. [{Friend} was taller than {friend2}, and
{friend2} was taller than {hero}.|{Friend2} was taller than {hero}, but not as tall as {friend}. |{Hero} was
shorter than {friend2}, and {friend2} was shorter than {friend}.]

[They saw|In the middle stood|Then they found] a [big |]tree full of [ripe|fresh] {fruit}. [One {fruit.one}
hung|The best {fruit.one} was] very high up. "I want that {fruit.one}," said {hero}. "It looks so
{fruit.taste}." {He} jumped, but {he} could not reach it, because {he} was the shortest. [conflict? "Let me,
you are too small!" said {friend2}.|"Let me try," said {friend2}.] {Friend2} [stood on {friend2.his}
toes|jumped too], but {friend2.he} could not reach it [either|].

["Who is the tallest?" asked {hero}. "{Friend} is!" said {friend2}.|{think} "{Friend} is the tallest!" {he}
said.] So {friend} [reached up|stretched {friend.his} arms] [bad? and shook the branch. But the {fruit.one}
fell into the mud, and nobody could eat it. They went home [hungry|sad]. |twist? [high up|with all
{friend.his} might], but even {friend.he} was too short. So {hero} climbed on {friend}'s back. Now the
smallest was the highest! {Hero} got the {fruit.one}, and they cut it into three pieces. |and got it.
{Friend.he} gave it to {hero}. {thanks} {Hero} cut the {fruit.one} into three pieces, and everyone had some.
It was {fruit.taste}.] [moral? {moral_word} friends can do more together.|bad? |After that, they all
{act.past} {place.at}.] {late}
""",
    ),
    "sharing": Plot(
        "toy",
        "play",
        "look",
        """
{opening} {His} {elder} [bought|made|gave] {him} a {toy_full}. {Hero} loved to {play}. {He} {play.past} all
day. {home_asides}

{oneday}, {friend} came [to visit|over]. "[May|Can] I {play} too?" {friend.he} asked. "No! [It is mine|You
will break it|Go away]!" said {hero}. {Friend} [went home|sat in the corner] and was sad. [hint? {Friend}
had something behind {friend.his} back, but {hero} did not see it.|]

Then {hero} played alone. But it was [boring|not much fun] to {play} alone. [conflict? The two did not speak
for days.|{sad}] [chat? "What is wrong?" asked {his} {elder}. "I did not share my {toy}," said {hero}. "Then
you know what to do," said {Elder}.|{think}]

{Hero} went to {friend}'s [animal? home|house]. "I am sorry," {he} said. "Do you want to {play} with me?"
[bad? But {friend} already had a new friend, and they were busy with a {colour2} {toy2}. {Hero} walked home
alone with {his} {colour} {toy}. |twist? "Yes! And look, I have a {colour2} {toy2}. I wanted to show it to
you, but you sent me away." So they shared the {toy} and the {toy2}. |{Friend} smiled. First {friend}
{play.past}, and then {hero} {play.past}. They took turns with the {look} {toy} until dark.] [moral?
{moral_word} sharing is more fun than playing alone.|bad? |{friends_end}] {late}
""",
    ),
    "counting fruit": Plot(
        "fruit",
        "act",
        "trait",
        """
{opening} {loves_act} {outing} On the way home {he} picked {sum} {fruit} and put them in a {colour} basket.
The {fruit} were {fruit.taste}.

[Soon|Then] {he} met {friend}, a {trait2} {friend.kind}. {Friend} [was hungry|had no lunch|looked
at the basket]. [chat? "How many {fruit} do you have?" {friend.he} asked. "I have {sum}," said
{hero}.|"Those look {fruit.taste}," {friend.he} said.] {Hero} gave {friend} {sum.gives} of the {fruit}.
[conflict? "I want them all!" said {friend}. But {hero} shook {his} head. "The others are for my
{elder}."|"Thank you!" said {friend}.]

At home, {his} {elder} looked into the {colour} basket. "You picked {fruit}! How many do you
have?" {Hero} counted. [bad? But there was a hole in the basket, and all the {fruit} had fallen out! There
were none. {sad} |"I had {sum}, and I gave {sum.gives} to {friend}, so I have {sum.left}," {he} said.
"{Sum.left} {fruit} are [enough|just right]!" said {Elder}. They [ate them|washed them and ate them|made a
pie] together. [twist? Then there was a knock at the door. It was {friend} with a {colour2} flower. "Now I
can give you something too," {friend.he} said.|]] [moral? {moral_word} you have more joy when you give some
away.|bad? |{act_end}] {late}
""",
    ),
    "hide and seek": Plot(
        "place",
        "act",
        "trait",
        """
{opening} {loves_act} {outing} {Friend} and {friend2} were there too, and they played hide and seek.

{Hero} closed {his} eyes and counted to ten. {Friend} hid {spot}. {Friend2} hid {spot2}. [hint? {Friend2}
was [very |]tired.|] "Here I come!" called {hero}.

{He} looked {spot3}. Nobody was there. [chat? "Where are you?" {he} called. Nobody spoke.|] Then {he} looked
{spot}. "I found you, {friend}!" {he} [cried|laughed]. "Now where is {friend2}?" They [looked and
looked|called and called]. [conflict? "{Friend2.he} went home," said {friend}. "No, {friend2.he} would not
leave us," said {hero}.|{Friend} began to worry.]

At last they looked {spot2}. There was {friend2}! [twist? {Friend2.he} was fast asleep. They [laughed|sat
down] and waited until {friend2.he} woke up. |bad? {Friend2.he} was crying. {Friend2.his} foot was stuck,
and it hurt. They had to carry {friend2.him} home.|"You took so long!" {friend2.he} said.] [Now it was
{friend}'s turn to count, because {friend.he} was found first.|{Friend} had been {spot}, and {friend2} had
been {spot2}.] [moral? {moral_word} good friends look for you until they find you.|bad? |Then they all
{act.past} together.] {late}
""",
    ),
    "secret word": Plot(
        "secret",
        "act",
        "trait",
        """
{opening} {loves_act} {Hero} and {friend} had a secret club [in a treehouse|behind the shed|{place.at},
{spot}]. To come in, you had to say the secret word. "The secret word is {secret}," {friend} whispered. "Do
not tell [anyone|a soul]." "I will not," said {hero}.

{oneday}, {hero} {act.past} {place.at}. {place_asides} A {trait2} {friend2.kind} named {friend2} came up to
{him}. "Tell me the secret word," {friend2.he} said. [conflict? "If you tell me, I will give you my {colour}
{toy}." {Hero} liked the {toy} very much.|"Please, please!"] "[No|I cannot]," said {hero}. "It is a secret.
I promised." [hint? But {friend2} looked lonely.|"Is it {secret2}?" asked {friend2}. {Hero} only smiled.]

[Later|That afternoon], {hero} went to the club and knocked. "What is the secret word?" asked a voice. [bad?
But {hero} had forgotten it! "Is it {secret3}?" {he} asked. "Wrong!" {He} had to stay outside all day. It
was {secret}, of course. |"{Secret}," said {hero}. The door opened. [twist? Inside sat {friend2}! "It was a
test," said {friend}. "You kept the secret. Now {friend2} is in the club too." |"You can keep a secret,"
said {friend}. "Did you tell {friend2}?" "No," said {hero}. "But maybe we can let {friend2.him} in."]]
[moral? {moral_word} real friends keep a secret.|bad? |{friends_end}] {late}
""",
    ),
    "riddle": Plot(
        "creature",
        "act",
        "trait",
        """
{opening} {loves_act} {outing} {Spot} sat {friend}, a {trait2} {friend.kind} who loved riddles. "[Guess my
riddle|I am thinking of an animal]," {friend.he} said. "You have three tries."

"It has {clue}. It eats {creature.food}. It lives in a {creature.home}. What is it?" {Hero} [thought
hard|scratched {his} head]. "Is it a {creature2}?" {he} asked. "No, it is not a {creature2}," said {friend}.
"Is it a {creature3}?" "No, but a {creature3} is a good guess." [hint? "I will help you," said {friend}. "It
also has {clue2}."|]

[chat? "May I ask my {elder}?" asked {hero}. "No, you must do it alone," said {friend}.|{Hero} walked up and
down.] [conflict? "You are too slow!" said {friend}.|Then {he} heard something that {creature.sound} far
away.] [bad? But {he} did not know it. "It is a {creature}!" said {friend}. {sad} |Then {he} knew. "It is a
{creature}!" "Right!" said {friend}. [twist? Just then, a real {creature} {creature.move} by. It
{creature.sound}, and they both laughed.|"Now I have one for you," said {hero}.]] [moral? {moral_word} it is
good to think before you speak.|bad? |Then they {act.past} together.] {late}
""",
    ),
    "garden": Plot(
        "plant",
        "act",
        "trait",
        """
{opening} {loves_act} In spring, {his} {elder} gave {him} a [tiny|little|brown] seed. [hint? "It will be
{plant.colour} one day," {elder.he} said.|"What will it be?" asked {hero}. "Wait and see," said {Elder}.]

{Hero} dug a hole [behind the house|next to the fence|in a pot] and put the seed in. {walk_asides} On {day}
{he} gave it water. On {day.next} {he} looked, but there was nothing. [{sad}|{He} wanted to {act} and not to
wait.] [conflict? "It is dead," said {friend}. "Throw it away." "No," said {hero}.|{He} {act.past} next to
it to pass the time.] [Every day|Each morning], {he} gave it water and [sang to it|talked to it|pulled out
the weeds].

[Then|After many days], a green leaf came out. The sun shone, the rain fell, and it grew and grew. [In
summer|Soon] it was {plant.grows} and {plant.colour}. It was a {plant}! [bad? But one night the snails came
and ate all its leaves. {sad} "We will plant a new seed," said {Elder}. |"Now we can {plant.use}," said
{hero}. And so they did. [twist? Then {Elder} gave {him} ten new seeds. "One for each of my friends," {he}
said.|{glad}]] [moral? {moral_word} good things take time.|bad? |After that, {he} {act.past} all day.] {late}
""",
    ),
    "warm clothes": Plot(
        "weather.wear",
        "game",
        "trait",
        """
{opening} One {weather} day, {he} wanted to go out and {game}. [hint? {weather.sky}|{He} looked out of the
window.] "It is {weather} today," said {his} {elder}. "Put on your {weather.wear}." [conflict? "No! I do not
like my {weather.wear}," said {hero}. {He} threw {weather.it} {nook.inside}.|"I do not need {weather.it},"
said {hero}, and ran out.]

[In the yard|In front of the house|In the street], {he} began to {game}. At first it was fun. {home_asides}
But then it [changed|got worse]. {weather.trouble}. Soon {hero} was all {weather.body}. {sad} [chat? "Are
you all right?" asked {friend}. {Friend} was wearing {friend.his} {weather.wear}. "No, I am {weather.body},"
said {hero}. "I should have listened."|{He} thought of {his} {weather.wear} at home.]

[bad? {He} got sick and had to stay in bed for a week. {He} could not {game} at all. |twist? Then somebody
called {his} name. It was {his} {elder}, with the {weather.wear} [in {elder.his} hand|under {elder.his}
arm]. {glad} |{He} ran home. {His} {elder} gave {him} {weather.fix}. "[Next time I will listen|You were
right]," said {hero}.] [moral? {moral_word} it is good to listen to {Elder}.|bad? |The next time it was
{weather}, {he} put on {his} {weather.wear} and {game.past} all day.] {late}
""",
    ),
    "birthday": Plot(
        "toy",
        "play",
        "look",
        """
{opening} Soon it would be {his} birthday. {Hero} wished for one thing: a {toy_full}. {He} wanted to {play}
[every day|all day long]. [{He} drew it on paper.|{He} talked about it every day.]

On {day}, {hero} saw a box {nook.inside}. [conflict? {He} knew that {he} must not look. But {he} wanted to
so much! {He} shook the box a little.|"What is in there?" {he} asked. "Not until {day.next}," said {his}
{elder}.] [The box was heavy.|The box was light.|] Was it something made of {toy.made}? [hint? "I think I
know what it is," {he} whispered.|] That night {he} could not sleep.

On {day.next}, it was {his} birthday. {home_asides} There was cake, and {friend} and {friend2} came. {Hero}
opened the box. [bad? But it was only a {colour2} {clothes}. {sad} "[We did not have enough money for a
{toy}|Maybe next year]," said {Elder}. {Hero} hugged {elder.him}. "It is a nice {clothes}," {he} said.
|twist? It was empty! {sad} "Look behind you," said {his} {elder}. There stood {friend} with a {toy_full}!
{glad} |Inside was a {toy_full}, just as {he} had wished. {glad}] [moral? {moral_word} love is more than any
present.|bad? |{Hero} {play.past} all day.] {late}
""",
    ),
    "new friend": Plot(
        "place",
        "act",
        "trait2",
        """
{opening} {oneday}, a new {friend.kind} named {friend} came to {hero}'s [animal? part of the
forest|school|street]. {Friend} was {trait2}. [Nobody talked to {friend.him}.|{Friend.he} sat alone.]

[conflict? "{Friend} is strange," said {friend2}. "Do not play with {friend.him}." But {hero} did not like
that.|{Hero} [watched|looked at] {friend} for a while.] [hint? {Friend} had a {colour} {toy} in {friend.his}
bag.|] "Hello," said {hero}. "What do you like to do?" [At first {friend} was quiet. Then
{friend.he}|{Friend}] said, "I like to {act}." "Me too!" said {hero}. "I know a place where we can {act}."

They went {place.to}. [{scene}|] {place_asides} They {act.past} [and {act.past}|until they were tired|and
talked]. [chat? "In my old home, I {act.past} every day," said {friend}. "Here you can {act} with me," said
{hero}.|{Hero} showed {friend} {sight}.] [twist? Then {friend} gave {hero} [hint? the|a] {colour} {toy}.
"This is for you, because you were the first to talk to me."|bad? But a week later, {friend} had to move
away again. {sad} "I will write to you," said {friend}.|The next day, {friend2} came too, and said that
{friend2.he} was sorry.] [moral? {moral_word} a new face can be a new friend.|bad? |{new_friends_end}]
{late}
""",
    ),
    "too many sweets": Plot(
        "treat",
        "act",
        "trait",
        """
{opening} {loves_act} But even more {he} loved {treat}. {oneday}, {hero} stayed at home with {his} {elder}.
{home_asides} {Elder} made {sum} {treat} [for the party|for {Elder2}'s birthday|for everyone] and put them
{larder}. "You may have one," {elder.he} said. [hint? "If you eat too many, your {treat.ache} will
hurt."|"The others are for later."]

{Hero} ate one. It was so good! {He} ate another one. {He} looked {larder} again and again, until all {sum}
{treat} were gone. [conflict? When {friend} came and asked for one, {hero} said, "There are none."|{He}
licked {his} {hands} clean.] Then {his} {treat.ache} began to hurt. {sad}

[chat? "What is wrong?" asked {his} {elder}. "Oh, my {treat.ache}!" said {hero}. "Where are the {sum}
{treat}?" asked {Elder}. {Hero} looked at the floor. "I ate them all."|{His} {elder} looked {larder} and saw
that it was empty. {Elder.he} knew what had happened.] [bad? {Hero} could not {act} for two days, and {he}
missed the party.|twist? {Elder} did not shout. {Elder.he} only said, "Now you know why I said one." The
next day they made {sum} new ones, and {hero} gave them all to {his} friends. |{Elder} gave {him} some tea
and put {him} to bed. "I am sorry," said {hero}.] [moral? {moral_word} too much of a good thing is not
good.|bad? |When {he} felt better, {he} {act.past} {place.at}.] {late}
""",
    ),
    "lost tool": Plot(
        "person",
        "act",
        "trait",
        """
{opening} {loves_act} {oneday}, {he} went for a walk. {walk_asides} {He} came to {person.place}. The
{person} looked [sad|worried]. "I cannot {person.work} today," said the {person}. "I need {person.needs} for
that, but I cannot find any."

["I will help you," said {hero}.|"Do not worry," said {hero}. "I will find some help."] {He} went to
{person2.place}. But the {person2} only had {person2.needs}. {He} went to {person3.place}. But the {person3}
only had {person3.needs}. [conflict? "Go away, I am busy," {person3.he} said.|"Good luck," {person3.he}
said.] {sad} [hint? On the way {he} saw something {place.at}, {spot}.|] Then {he} went {place.to} to {act}
and think. [{scene}|] And what did {he} see {spot}? {Person.needs}!

[chat? "Look what I found!" {he} called.|{He} ran back to {person.place}.] "[Wonderful|Hooray]!" said the
{person}. "Now I can {person.work} again." [bad? But it was too late, and {person.place} had to stay closed
that day.|twist? "Do you want to learn how to {person.work}?" {person.he} asked. So {hero} helped
{person.him} all afternoon.|{Person.he} gave {hero} {person.gives}. {glad}] [moral? {moral_word} it is good
to help.|bad? |{act_end}] {late}
""",
    ),
    "builders": Plot(
        "build",
        "act",
        "trait",
        """
{opening} {loves_act} {oneday}, {hero} and {friend} wanted to build a {build}. They needed {stuff}, {stuff2}
and {stuff3}. "I will get {stuff} and {stuff3}," said {hero}. "Then I will get {stuff2}," said {friend}.
[hint? {Elder} looked at them. "[Take care|Build it well]," {elder.he} said. "Bad luck comes fast."|]

{Hero} came back with {stuff} and {stuff3}, and {friend} came back with {stuff2}. They worked [hard|all
morning|side by side]. [conflict? "It must be bigger!" said {hero}. "No, smaller!" said {friend}. In the end
they made it just right.|] {home_asides} Last, they {build.end}. It was the best {build} in the world. {glad}

Then [something bad happened|it happened]. {build.crash}! "Oh no, our {build}!" cried {friend}. {sad} [bad?
They did not want to build another one. They went home without a word. |twist? But then {hero} began to
laugh. "It was so much fun to build it. Let us build a {build2} next!" And so they did. |"We can build it
again," said {hero}. "We know how." They took {stuff}, {stuff2} and {stuff3}, and the second {build} was
even better.] [moral? {moral_word} you can always start again.|bad? |After that, they {act.past} until
dinner.] {late}
""",
    ),
    "dream": Plot(
        "dream",
        "act",
        "trait",
        """
{opening} {loves_act} [{oneday}, {he} {act.past} so long that {he} was very tired.|One night, {he} could not
sleep.] {His} {elder} [read {him} a story about|told {him} about] {dream}. [hint? "Some say that it is
real," {elder.he} whispered.|{Hero} closed {his} eyes.]

[Suddenly|Then], {he} was [there|far away from {his} bed]. It was {dream}! {He} saw {dream.sight}.
{Dream.folk} came to meet {him}. "Welcome, {hero}," they said. "[Can you {act}|Do you like to {act}]?"
"Yes!" said {hero}. So {he} {act.past} with the {dream.folk}, and they [cheered|laughed]. [conflict? But
their {colour} {item} was gone, and they were sad. {Hero} looked all around. {He} found it near the
{dream.sight}. "You saved us!" they said.|They ate {fruit} and told jokes.] They gave {him} {dream.thing}.
"So that you do not forget us," they said.

Then a voice called {his} name. {Hero} opened {his} eyes. {He} was in {his} bed. [chat? "I saw {dream}!"
{he} told {his} {elder}. "It was only a dream," said {Elder}.|It had only been a dream.] [twist? But in
{his} {hands} {he} held {dream.thing}.|bad? {He} opened {his} {hands}, but they were empty. {sad}|{He} drew
a picture of {dream.thing} and put it on the wall.] [moral? {moral_word} you can go anywhere if you close
your eyes.|bad? |{glad}] {late}
""",
    ),
    "stuck up high": Plot(
        "flyer",
        "lift",
        "shape",
        """
{opening} {He} had a {shape} {colour} {flyer}. {oneday}, {he} took it {place.to} to {lift}. {place_asides}
{He} {lift.past} [for a while|with all {his} might|too hard], and up it went. It got stuck [high in a
tree|on a roof]!

{He} jumped, but it was too high. {He} threw a stick, but the stick came down again and the {flyer} did not.
{sad} [hint? A {creature} was looking at {him} from {spot}.|] {meet} [chat? {whats_wrong} "My {shape}
{flyer} is stuck," said {hero}.|{Friend} looked up and saw the {flyer}.] [conflict? "That is your own
fault," said {friend}. But then {friend.he} was sorry and stayed.|"I will help," said {friend}.]

First they tried a rope. It was too short. Then they tried a ladder. [bad? It broke, and {friend} hurt
{friend.his} arm. They had to leave the {colour} {flyer} up there. In winter, they could still see it.
|twist? But nobody wanted to climb it. Then a {creature} came by. It {creature.help}. And down came the
{flyer}! |{Friend} held it, and {hero} climbed up, step by step. {He} got the {flyer}!] [moral? {moral_word}
you should ask for help when you need it.|bad? |"From now on, we {lift} only in the open field," {hero}
said.|{new_friends_end}] {late}
""",
    ),
    "sick friend": Plot(
        "fruit",
        "act",
        "trait",
        """
{opening} {loves_act} {He} always {act.past} with {friend}, a {trait2} {friend.kind}. [{Friend} loved
{fruit} and the color {colour}.|{Friend}'s favorite color was {colour}, and {friend.his} favorite food was
{fruit}.]

But on {day}, {friend} did not come {place.to}. {Hero} waited [{spot}|all morning]. [chat? "Where is
{friend}?" {he} asked {friend2}. "{Friend.he} is sick," said {friend2}.|Then {he} heard that {friend} was
sick.] {sad} [conflict? "Come and {act} with me," said {friend2}. "Forget {friend}." "No," said
{hero}.|{think}]

What could {he} bring? {He} remembered what {friend} liked. {He} got some {fruit}, and {he} made a {colour}
[card|paper flower|hat]. [hint? {He} sneezed on the way.|] On {day.next}, {he} went to {friend}'s [animal?
home|house]. "Oh, {fruit}! And it is {colour}, my favorite color!" said {friend}. {Friend.he} [sat
up|smiled] for the first time.

[bad? But then {hero} got sick too, and {he} had to stay in bed.|twist? A week later, it was {hero} who was
sick. Then {friend} came with a basket of {fruit2}.|Soon {friend} was well again, and they {act.past}
together.] [moral? {moral_word} a good friend remembers what you like.|bad? |{friends_end}] {late}
""",
    ),
}
"""The skeletons of the stories, by name."""
